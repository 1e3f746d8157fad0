"""ChatML: one `text`, its turns between <|im_start|> and <|im_end|>; tools and calls as Qwen's template writes them.

The wording around the tools is the one of Qwen2.5's and Qwen3's chat template: what their models were trained on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from lora_tui.dataset.formats.format import Fields, Format, Shown
from lora_tui.dataset.formats.turns import answer, answer_text, asked, numbered, outputs_text
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.sources.chat.conversation import NotAChat, role_of

_BEFORE_TOOLS = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
_BEHIND_TOOLS = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    '<tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n'
    "</tool_call>"
)
_TURN = re.compile(r"<\|im_start\|>([^\n]*)\n(.*?)<\|im_end\|>(?:\n|\Z)", re.S)


def _fields(row: Row) -> dict[str, Any]:
    return {"text": "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in _turns(row))}


def _turns(row: Row) -> Iterator[tuple[str, str]]:
    said: Sequence[RowMessage] = row.messages
    if row.tools:
        own = said[0].content if said and said[0].role == "system" else None
        said = said if own is None else said[1:]
        tools = "".join(f"\n{json.dumps(tool, ensure_ascii=False)}" for tool in row.tools)
        yield "system", ("" if own is None else own + "\n\n") + _BEFORE_TOOLS + tools + _BEHIND_TOOLS
    for role, group in groupby(said, key=lambda message: message.role):
        if role == "tool":
            yield "user", outputs_text(group)
        else:
            for message in group:
                yield role, answer_text(message) if role == "assistant" else message.content


def _read(fields: Fields) -> Shown:
    text, end = fields.get("text"), 0
    if not isinstance(text, str):
        raise NotAChat("text is no text")
    said: list[RowMessage] = []
    tools: list[dict[str, Any]] = []
    for turn in _TURN.finditer(text):
        if turn.start() != end:
            break
        end = turn.end()
        role = role_of(turn[1])
        if role == "system" and not said and not tools:
            own, tools = _system(turn[2])
            said += [] if own is None else [RowMessage("system", own)]
        elif role == "assistant":
            said.append(answer(turn[2]))
        else:
            said += asked(turn[2]) if role == "user" else [RowMessage(role, turn[2])]
    if text[end:].strip():
        raise NotAChat("text outside of <|im_start|> and <|im_end|>")
    return Shown(numbered(said), tools)


def _system(text: str) -> tuple[str | None, list[dict[str, Any]]]:
    """What a system turn says itself (None: nothing at all), and the tools it lists."""
    own, there, listed = text.partition(_BEFORE_TOOLS)
    if not there or not listed.endswith(_BEHIND_TOOLS) or not (own == "" or own.endswith("\n\n")):
        return text, []
    try:
        lines = listed.removesuffix(_BEHIND_TOOLS).split("\n")[1:]
        tools = [msgspec.json.decode(line, type=dict[str, Any]) for line in lines]
    except msgspec.DecodeError:
        return text, []
    return (own[:-2] if own else None), tools


FORMAT = Format("chatml", ".jsonl", "lines", _fields, _read)
