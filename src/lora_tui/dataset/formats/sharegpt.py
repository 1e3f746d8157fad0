"""ShareGPT: `conversations` of `from` and `value`, `system` and `tools` beside them, as LLaMA-Factory reads it.

A call is a turn `function_call` (JSON of name and arguments; a list for several), its output an `observation`. What an
assistant says before its calls is a `gpt` turn before them.
https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from lora_tui.dataset.formats import openai
from lora_tui.dataset.formats.format import Fields, Format, Shown
from lora_tui.dataset.formats.turns import answer, numbered, thinking
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.sources.chat.conversation import NotAChat, role_of
from lora_tui.sources.model import Function, ToolCall

_FROM = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}


def _fields(row: Row) -> dict[str, Any]:
    said = list(row.messages)
    first = said.pop(0) if said and said[0].role == "system" else None
    shown: dict[str, Any] = {"conversations": [turn for message in said for turn in _turns(message)]}
    if first is not None:
        shown["system"] = first.content
    return shown | ({"tools": openai.as_text(row.tools)} if row.tools else {})


def _turns(message: RowMessage) -> list[dict[str, Any]]:
    said = thinking(message) + message.content
    turns: list[dict[str, Any]] = []
    if said or not message.tool_calls:
        turns.append({"from": _FROM.get(message.role, message.role), "value": said})
    if message.tool_calls:
        calls = [_call_text(call) for call in message.tool_calls]
        value = calls[0] if len(calls) == 1 else f"[{', '.join(calls)}]"
        turns.append({"from": "function_call", "value": value})
    if message.role == "assistant" and not message.weight:
        turns = [turn | {"weight": 0} for turn in turns]
    return turns


def _call_text(call: ToolCall) -> str:
    arguments = call.function.arguments
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):  # no JSON: a text in the JSON, so that the turn can be read
        arguments = json.dumps(arguments, ensure_ascii=False)
    return f'{{"name": {json.dumps(call.function.name, ensure_ascii=False)}, "arguments": {arguments}}}'


def _read(fields: Fields) -> Shown:
    said: list[RowMessage] = []
    if fields.get("system") is not None:
        said.append(RowMessage("system", _text(fields["system"])))
    turns = fields.get("conversations")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise NotAChat("conversations is no list of turns")
    spoke = False  # the turn before was the assistant's, without a call
    for turn in turns:
        who, value, weight = turn.get("from"), _text(turn.get("value")), 0 if turn.get("weight") == 0 else 1
        if who == "function_call":
            before = said.pop() if spoke else RowMessage("assistant", weight=weight)
            said.append(msgspec.structs.replace(before, tool_calls=_calls(value)))
        elif (role := role_of(who)) == "assistant":
            said.append(_answer(value, weight))
        else:
            said.append(RowMessage(role, value))
        spoke = who != "function_call" and said[-1].role == "assistant"
    return Shown(numbered(said), openai.tools(fields.get("tools")))


def _answer(value: str, weight: int) -> RowMessage:
    """What an assistant says: text that looks like a call is text here, for a call has a turn of its own."""
    read = answer(value)
    said = RowMessage("assistant", value) if read.tool_calls else read
    return msgspec.structs.replace(said, weight=weight)


def _calls(value: str) -> list[ToolCall]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        raise NotAChat("a function_call is not JSON") from None
    calls = []
    for call in found if isinstance(found, list) else [found]:
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise NotAChat("a function_call without a name")
        arguments = call.get("arguments", {})
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        calls.append(ToolCall(id="", function=Function(call["name"], text)))
    return calls


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise NotAChat("a turn without text")
    return value


FORMAT = Format("sharegpt", ".jsonl", "lines", _fields, _read)
