"""Where in an answer an expectation is met, and what of it is missing: for whoever shows an answer with its checks."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from lora_tui.jobs import patterns
from lora_tui.jobs.checks import Expectation, items, text_of
from lora_tui.jobs.journal import Check

Span = tuple[int, int]  # from the first character to behind the last

_MOST = 200  # of one expectation
_PATTERN_SECONDS = 0.1  # somebody waits to read


class Matches(NamedTuple):
    """What of an answer an expectation is about. For `not-` ones the spans are what should not stand there."""

    spans: tuple[Span, ...] = ()
    missing: tuple[str, ...] = ()


def matches(check: Check, answer: str) -> Matches:
    """Find what `check` looked for. Nothing is found of what is no matter of single places: a length, a judge, code."""
    wanted = _wanted(check.expectation)
    if wanted is None or check.not_run:
        return Matches()
    if wanted.kind in ("contains-all", "icontains-all", "contains-any", "icontains-any"):
        found = {item: list(_places(item, answer, wanted.kind)) for item in items(wanted.value)}
        every = tuple(sorted({span for spans in found.values() for span in spans}))
        absent = tuple(item for item, spans in found.items() if not spans)
        told = wanted.kind.endswith("all") and not wanted.negated and not check.passed
        return Matches(every[:_MOST], absent if told else ())
    return Matches(tuple(_spans(wanted, answer))[:_MOST])


def _wanted(words: str) -> Expectation | None:
    """The expectation that `Expectation.words` wrote; None for what is not a kind with a plain value."""
    kind, _, value = words.partition(" ")
    try:
        return Expectation(kind, ast.literal_eval(value) if value else None)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _spans(wanted: Expectation, answer: str) -> Iterator[Span]:
    value = text_of(wanted.value)
    match wanted.kind:
        case "contains" | "icontains":
            yield from _places(value, answer, wanted.kind)
        case "starts-with" if value and answer.startswith(value):
            yield 0, len(value)
        case "equals" if answer and answer == value:
            yield 0, len(answer)
        case "regex":
            yield from (span for span in patterns.places(value, answer, _PATTERN_SECONDS) if span[1] > span[0])
        case "contains-json":
            yield from _json(answer)


def _places(value: str, answer: str, kind: str) -> Iterator[Span]:
    flags = re.IGNORECASE if kind.startswith("icontains") else 0
    if value:
        yield from (found.span() for found in re.finditer(re.escape(value), answer, flags))


def _json(answer: str) -> Iterator[Span]:
    decoder = json.JSONDecoder()
    for found in re.finditer(r"[{\[]", answer):
        try:
            _, end = decoder.raw_decode(answer, found.start())
        except (ValueError, RecursionError):
            continue
        yield found.start(), end
        return
