"""Messages as plain text turns, for formats that know no tool calls: written as Qwen's chat template writes them.

Reasoning stands in <think>, a call in <tool_call>, an output in <tool_response>; all of it can be read again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

import msgspec

from lora_tui.dataset.model import RowMessage
from lora_tui.sources.model import Function, ToolCall

_THINK = re.compile(r"<think>\n(.*?)\n</think>\n\n", re.S)
_CALLS = re.compile(r"\n?<tool_call>\n(.*?)\n</tool_call>", re.S)
_OUTPUTS = re.compile(r"<tool_response>\n(.*?)\n</tool_response>(?:\n|\Z)", re.S)
_NAME = '{"name": '
_ARGUMENTS = ', "arguments": '


def learned(messages: Sequence[RowMessage]) -> Sequence[RowMessage]:
    """The messages up to the last answer that is learned from: later ones have no part in any loss."""
    for number in range(len(messages), 0, -1):
        last = messages[number - 1]
        if last.role == "assistant" and last.weight:
            return messages[:number]
    return messages


def answer_text(message: RowMessage) -> str:
    """An assistant's turn."""
    calls = "\n".join(call_text(call) for call in message.tool_calls)
    return thinking(message) + message.content + ("\n" if message.content and calls else "") + calls


def thinking(message: RowMessage) -> str:
    """What it thought, before what it says; '' where nothing is known."""
    return f"<think>\n{message.reasoning_content}\n</think>\n\n" if message.reasoning_content else ""


def call_text(call: ToolCall) -> str:
    """One tool call; the arguments are the very text that the agent sent."""
    name = json.dumps(call.function.name, ensure_ascii=False)
    return f"<tool_call>\n{_NAME}{name}{_ARGUMENTS}{call.function.arguments}}}\n</tool_call>"


def outputs_text(messages: Iterable[RowMessage]) -> str:
    """Tool outputs that follow each other: one turn of the user."""
    return "\n".join(f"<tool_response>\n{message.content}\n</tool_response>" for message in messages)


def answer(text: str) -> RowMessage:
    """The assistant's turn that `answer_text` wrote; what does not look like a call stays text."""
    reasoning = ""
    if found := _THINK.match(text):
        reasoning, text = found[1], text[found.end() :]
    calls = [_call(found[1]) for found in _CALLS.finditer(text)]
    first = next(_CALLS.finditer(text), None)
    if first is None or None in calls or _CALLS.sub("", text[first.start() :]):
        return RowMessage("assistant", text, reasoning)
    return RowMessage("assistant", text[: first.start()], reasoning, [call for call in calls if call is not None])


def asked(text: str) -> list[RowMessage]:
    """A user's turn; the tool outputs in it are messages of their own."""
    outputs, end = [], 0
    while found := _OUTPUTS.match(text, end):
        outputs.append(RowMessage("tool", found[1]))
        end = found.end()
    return outputs if outputs and end == len(text) else [RowMessage("user", text)]


def numbered(messages: Iterable[RowMessage]) -> list[RowMessage]:
    """The messages with an id for each call, and each output tied to the first call that has none yet."""
    said: list[RowMessage] = []
    waiting: list[str] = []
    number = 0
    for message in messages:
        if message.tool_calls:
            calls = []
            for call in message.tool_calls:
                number += 1
                calls.append(msgspec.structs.replace(call, id=f"call_{number}"))
                waiting.append(f"call_{number}")
            message = msgspec.structs.replace(message, tool_calls=calls)
        if message.role == "tool" and waiting:
            message = msgspec.structs.replace(message, tool_call_id=waiting.pop(0))
        said.append(message)
    return said


def _call(text: str) -> ToolCall | None:
    if not text.startswith(_NAME) or not text.endswith("}"):
        return None
    try:
        name, end = json.JSONDecoder(strict=False).raw_decode(text, len(_NAME))
    except ValueError:
        return None
    if not isinstance(name, str) or not text.startswith(_ARGUMENTS, end):
        return None
    return ToolCall(id="", function=Function(name, text[end + len(_ARGUMENTS) : -1]))
