"""The variant of `messages` that Together takes: its keys alone, roles in turn. Nothing stands beside the fields.

Repaired with a word: what can be said otherwise without changing what is learned. What cannot is left out with the
reason.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from lora_tui.dataset.formats import openai
from lora_tui.dataset.formats.turns import learned
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.dataset.together_rules import problems

JOINED = "messages of one side that follow each other became one"
CUT = "messages after the last answer that is learned from were left off"


class Unfit(Exception):
    """The row cannot be said in Together's form; tells why."""


class Taken(msgspec.Struct, frozen=True):
    """A row as Together takes it, and what was repaired in it."""

    data: dict[str, Any]
    repairs: tuple[str, ...] = ()


def taken(row: Row) -> Taken:
    """The row with the keys `messages` and `tools`. Raises Unfit."""
    if not any(message.role == "assistant" and message.weight for message in row.messages):
        raise Unfit("no answer in it is learned from")
    messages = learned(row.messages)
    repairs = [CUT] if len(messages) < len(row.messages) else []
    joined = _joined(messages)
    repairs += [JOINED] if len(joined) < len(messages) else []
    for message in joined:
        for call in message.tool_calls:
            if not _is_object(call.function.arguments):
                raise Unfit("a tool call's arguments are no JSON object")
    data: dict[str, Any] = {"messages": [_message(message) for message in joined]}
    if row.tools:
        data["tools"] = row.tools
    wrong = next(problems(data), "")
    if wrong:
        raise Unfit(wrong)
    return Taken(data, tuple(repairs))


def _message(message: RowMessage) -> dict[str, Any]:
    said = openai.written(message, weight=message.role == "assistant")
    if "reasoning_content" in said:
        said["reasoning"] = said.pop("reasoning_content")  # Together's name for it
    return said


def _joined(messages: Sequence[RowMessage]) -> list[RowMessage]:
    """Two requests in a row are one, as are two answers of one weight of which the first calls nothing."""
    joined: list[RowMessage] = []
    for message in messages:
        last = joined[-1] if joined else None
        if last is not None and last.role == message.role and _may_join(last, message):
            content = "\n\n".join(text for text in (last.content, message.content) if text)
            joined[-1] = msgspec.structs.replace(message, content=content, reasoning_content=last.reasoning_content)
        else:
            joined.append(message)
    return joined


def _may_join(one: RowMessage, other: RowMessage) -> bool:
    if one.role == "assistant":
        return one.weight == other.weight and not one.tool_calls and not other.reasoning_content
    return one.role in ("system", "user")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
