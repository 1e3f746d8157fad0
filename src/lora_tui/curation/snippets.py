"""Which language a piece of code looks like, where no file name says it. Rules: rules/snippets.toml.

Measured (benchmarks/RESULTS.md) against magika, which knows more languages but costs 91 MB; here eight are told apart.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from lora_tui.workspace import toml

TABLE = Path(__file__).with_name("rules") / "snippets.toml"

_LOOKED_AT = 3_000  # characters; more lines tell no more
_MATCHES = 3


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule."""

    weight: int
    pattern: str
    needs: tuple[str, ...]
    yes: str
    no: str


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When to have no opinion."""

    score_from: int
    margin_from: float
    lines_from: int


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int
    thresholds: Thresholds
    rust: tuple[Row, ...]
    go: tuple[Row, ...]
    swift: tuple[Row, ...]
    ruby: tuple[Row, ...]
    python: tuple[Row, ...]
    typescript: tuple[Row, ...]
    javascript: tuple[Row, ...]
    shell: tuple[Row, ...]

    def languages(self) -> dict[str, tuple[Row, ...]]:
        """The rules of each language."""
        return {
            name: rows for name, rows in msgspec.structs.asdict(self).items() if name not in ("version", "thresholds")
        }


class Look(NamedTuple):
    """What a piece of code looks like: '' when it cannot be told."""

    language: str
    score: int
    margin: float  # 0 … 1: how far the second language is behind


NO_LOOK = Look("", 0, 0.0)


@cache
def table() -> Table:
    """The table as it is written."""
    return toml.load(TABLE, Table)


def look(code: str) -> Look:
    """What this code looks like, by its first 3,000 characters. TypeScript without a type looks like JavaScript."""
    code = code[:_LOOKED_AT]
    limits = table().thresholds
    if sum(1 for line in code.split("\n") if line.strip()) < limits.lines_from:
        return NO_LOOK
    scores = sorted(((_score(rules, code), language) for language, rules in _compiled()), reverse=True)
    (first, language), (second, _) = scores[0], scores[1]
    if {language, scores[1][1]} == {"typescript", "javascript"}:
        second = scores[2][0]  # of these two either is right as long as no type tells
    if first < limits.score_from:
        return NO_LOOK
    margin = (first - second) / (first + second)
    return Look(language, first, round(margin, 3)) if margin >= limits.margin_from else NO_LOOK


def _score(rules: list[tuple[int, tuple[str, ...], re.Pattern[str]]], code: str) -> int:
    score = 0
    for weight, needs, pattern in rules:
        for literal in needs:
            if literal in code:
                found = 0
                for _ in pattern.finditer(code):
                    found += 1
                    if found == _MATCHES:
                        break
                score += weight * found
                break
    return score


@cache
def _compiled() -> list[tuple[str, list[tuple[int, tuple[str, ...], re.Pattern[str]]]]]:
    return [
        (language, [(row.weight, row.needs, re.compile(row.pattern, re.M)) for row in rows])
        for language, rows in table().languages().items()
    ]
