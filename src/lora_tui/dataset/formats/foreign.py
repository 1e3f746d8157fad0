"""Rows that were not exported from here: another program's in any shape that chat files have, or a built version's."""

from __future__ import annotations

from typing import Any

import msgspec

from lora_tui.dataset.formats import openai
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.sources.chat.conversation import NotAChat
from lora_tui.sources.chat.formats import conversation
from lora_tui.sources.model import Message, TextPart, text_of

_KNOWN = ("language", "model", "licence", "repository")


def own(fields: dict[str, Any]) -> Row | None:
    """A line of train.jsonl as a version holds it, with its toolset's name; None for anything else."""
    if not {"id", "messages", "source"} <= fields.keys() or not isinstance(fields["id"], str):
        return None
    try:
        return msgspec.convert(fields, Row)
    except msgspec.ValidationError:
        return None


def foreign(fields: dict[str, Any]) -> tuple[list[RowMessage], str, dict[str, Any]]:
    """The messages, the format's name and what else the row says under Row's names. Raises NotAChat."""
    said = conversation(fields)
    messages = [_row(message) for message in said.messages]
    provenance: dict[str, Any] = {
        name: fields[name] for name in _KNOWN if isinstance(fields.get(name), str) and fields[name]
    }
    if said.model:
        provenance["model"] = said.model
    if fields.get("tools") is not None:
        provenance["tools"] = openai.tools(fields["tools"])
    provenance["shape"] = "agent" if any(message.tool_calls for message in messages) else "plain"
    provenance["source"] = "chat"
    return messages, said.format, provenance


def _row(message: Message) -> RowMessage:
    if isinstance(message.content, list) and not all(isinstance(part, TextPart) for part in message.content):
        raise NotAChat("a picture or a file in a message: a row holds text only")
    return RowMessage(
        role=message.role,
        content=text_of(message),
        reasoning_content=message.reasoning_content,
        tool_calls=message.tool_calls,
        tool_call_id=message.tool_call_id,
        weight=1 if message.about.weight is None else message.about.weight,
    )
