"""Alpaca: `instruction`, `input`, `output`, with `system` and the earlier turns as `history` of question and answer.

The output is the last answer that is learned from. A tool's output is a question, a call an answer. As JSON lines, or
as one JSON array, the form in which the first Alpaca set came.
https://github.com/tatsu-lab/stanford_alpaca#data-release
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from lora_tui.dataset.formats.format import Fields, Format, Shown
from lora_tui.dataset.formats.turns import answer, answer_text, asked, learned, numbered, outputs_text
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.sources.chat.conversation import NotAChat


def _fields(row: Row) -> dict[str, Any]:
    said = list(learned(row.messages))
    system = said.pop(0).content if said and said[0].role == "system" else None
    *history, last = _pairs(said) or [["", ""]]
    shown: dict[str, Any] = {"instruction": last[0], "input": "", "output": last[1]}
    if system is not None:
        shown["system"] = system
    return shown | ({"history": history} if history else {})


def _pairs(messages: Sequence[RowMessage]) -> list[list[str]]:
    """Questions with their answers; what one side says in several messages is one text."""
    pairs: list[list[str]] = []
    for answers, group in groupby(messages, key=lambda message: message.role == "assistant"):
        text = "\n\n".join(_texts(group, answers))
        if not answers:
            pairs.append([text, ""])
        elif pairs:
            pairs[-1][1] = text
        else:
            pairs.append(["", text])
    return pairs


def _texts(messages: Iterator[RowMessage], answers: bool) -> Iterator[str]:
    for tool, group in groupby(messages, key=lambda message: message.role == "tool"):
        if tool:
            yield outputs_text(group)
        else:
            for message in group:
                yield answer_text(message) if answers else message.content


def _read(fields: Fields) -> Shown:
    said: list[RowMessage] = []
    if fields.get("system") is not None:
        said.append(RowMessage("system", _text(fields, "system")))
    history = fields.get("history") or []
    if not isinstance(history, list) or not all(_is_pair(pair) for pair in history):
        raise NotAChat("history is no list of question and answer")
    for question, reply in history:
        said += [*asked(question), answer(reply)]
    question = "\n\n".join(part for part in (_text(fields, "instruction"), _text(fields, "input")) if part)
    return Shown(numbered([*said, *asked(question), answer(_text(fields, "output"))]))


def _is_pair(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)


def _text(fields: Fields, key: str) -> str:
    found = fields.get(key)
    if found is None and key == "input":
        return ""
    if not isinstance(found, str):
        raise NotAChat(f"{key} is no text")
    return found


FORMAT = Format("alpaca", ".jsonl", "lines", _fields, _read)
ARRAY = Format("alpaca-array", ".json", "array", _fields, _read)
