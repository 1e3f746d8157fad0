"""A message as OpenAI writes it, with the `weight` that Together and others added. Shared by three formats."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from lora_tui.dataset.model import RowMessage
from lora_tui.sources.chat.conversation import NotAChat
from lora_tui.sources.model import Role, ToolCall


class _Message(msgspec.Struct, frozen=True):
    role: Role
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    weight: Literal[0, 1] | None = None


def written(message: RowMessage, weight: bool = True) -> dict[str, Any]:
    """The message. `content` is always a text; weight: said of every answer, and of what is kept out of the loss."""
    said: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning_content:
        said["reasoning_content"] = message.reasoning_content
    if message.tool_calls:
        said["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.tool_call_id:
        said["tool_call_id"] = message.tool_call_id
    if weight and (message.role == "assistant" or not message.weight):
        said["weight"] = message.weight
    return said


def messages(value: object) -> list[RowMessage]:
    """A list of such messages. Raises NotAChat."""
    try:
        return [_row(message) for message in msgspec.convert(value, list[_Message])]
    except msgspec.ValidationError as error:
        raise NotAChat(f"not a list of messages: {error}") from None


def tools(value: object) -> list[dict[str, Any]]:
    """OpenAI's `tools`, as they are or as JSON text; none for null. Raises NotAChat."""
    if value is None:
        return []
    try:
        if isinstance(value, str):
            return msgspec.json.decode(value, type=list[dict[str, Any]]) if value else []
        return msgspec.convert(value, list[dict[str, Any]])
    except msgspec.DecodeError as error:
        raise NotAChat(f"not a list of tools: {error}") from None


def as_text(value: object) -> str:
    """A value as JSON text, for a place that takes text only."""
    return msgspec.json.encode(value).decode()


def _row(message: _Message) -> RowMessage:
    return RowMessage(
        role=message.role,
        content=message.content or "",
        reasoning_content=message.reasoning_content or "",
        tool_calls=message.tool_calls or [],
        tool_call_id=message.tool_call_id or "",
        weight=1 if message.weight is None else message.weight,
    )


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": call.type,
        "function": {"name": call.function.name, "arguments": call.function.arguments},
    }
