"""How far train speaks of what a suite asks: for each prompt the rows that share most of its words.

A word weighs what it is rare: one that stands in every row says nothing, one that stands in none counts most. The rows'
words wait in a temporary SQLite table (FTS5) on disk, ordered by bm25: memory stays flat in the number of rows.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing

import msgspec

from lora_tui.dataset.model import Row

_WORD = re.compile(r"[^\W_]+")
_LONGEST = 40_000  # characters of one text that are looked at
_NEAR = 40  # rows by bm25 that are looked at closely
_SHOWN = 3
_PLURAL = 4  # letters from which on an s at the end does not count
_REQUEST = 200
_COMMON = 0.5  # what a word counts that every row holds, beside its rarity


class Near(msgspec.Struct, frozen=True):
    """A row of train, and the share of the prompt's words that it holds."""

    id: str
    request: str
    share: float


class Covered(msgspec.Struct, frozen=True):
    """One prompt of a suite with its nearest rows, the nearest first."""

    suite: str
    prompt: str
    share: float  # of its distinct words, weighted by rarity, that the nearest row holds
    nearest: tuple[Near, ...]
    unknown: tuple[str, ...]  # its words that no row holds


def coverage(rows: Iterable[Row], prompts: Sequence[tuple[str, str]]) -> list[Covered]:
    """Each (suite, prompt) with the rows nearest to it; those that train speaks least of come first.

    Of a row count what was asked and what is learned, not the outputs of tools.
    """
    with closing(sqlite3.connect("")) as database:  # a temporary file that SQLite removes itself
        database.execute(
            "CREATE VIRTUAL TABLE said USING fts5(words, id UNINDEXED, request UNINDEXED, "
            "tokenize = 'unicode61 remove_diacritics 0', detail = none)"
        )
        database.execute("CREATE VIRTUAL TABLE known USING fts5vocab(said, 'row')")
        database.executemany("INSERT INTO said VALUES (?, ?, ?)", (_said(row) for row in rows))
        found = [_covered(database, suite, prompt) for suite, prompt in prompts]
    return sorted(found, key=lambda item: (item.share, item.suite, item.prompt))


def words(text: str) -> set[str]:
    """The distinct words of a text, in small letters; a plural is the same word."""
    found = _WORD.findall(text[:_LONGEST].lower())
    return {word[:-1] if len(word) >= _PLURAL and word.endswith("s") and word[-2] != "s" else word for word in found}


def request_of(row: Row) -> str:
    """What a row's first learned answer answers, in one line."""
    asked = ""
    for message in row.messages:
        if message.role == "user":
            asked = message.content
        elif message.role == "assistant" and message.weight and asked:
            break
    return " ".join(asked[: 4 * _REQUEST].split())[:_REQUEST]


def _said(row: Row) -> tuple[str, str, str]:
    held: set[str] = set()
    for message in row.messages:
        if message.role == "user" or (message.role == "assistant" and message.weight):
            held |= words(message.content)
            for call in message.tool_calls:
                held |= words(call.function.arguments)
    return " ".join(sorted(map(_term, held))), row.id, request_of(row)


def _term(word: str) -> str:
    """The word as the table has it: what SQLite takes for a letter of other scripts differs from what Python does."""
    return word if word.isascii() else f"u{word.encode('utf-8', 'surrogatepass').hex()}"


def _covered(database: sqlite3.Connection, suite: str, prompt: str) -> Covered:
    (total,) = database.execute("SELECT count(*) FROM said").fetchone()
    in_rows = {word: _rows_with(database, word) for word in sorted(words(prompt))}
    weights = {
        word: _COMMON + math.log(1 + (total - number + 0.5) / (number + 0.5)) for word, number in in_rows.items()
    }
    telling = [word for word, number in in_rows.items() if 0 < number <= total / 2]
    telling = telling or [word for word, number in in_rows.items() if number]
    asked = " OR ".join(f'"{_term(word)}"' for word in telling)
    near: list[Near] = []
    if asked:
        for held, identity, request in database.execute(
            "SELECT words, id, request FROM said WHERE said MATCH ? ORDER BY rank, rowid LIMIT ?", (asked, _NEAR)
        ):
            there = set(held.split())
            shared = [word for word in weights if _term(word) in there]
            near.append(Near(identity, request, _share(weights, shared)))
    near.sort(key=lambda item: -item.share)
    unknown = tuple(word for word, number in in_rows.items() if not number)
    return Covered(suite, prompt, near[0].share if near else 0.0, tuple(near[:_SHOWN]), unknown)


def _share(weights: dict[str, float], shared: Sequence[str]) -> float:
    return round(math.fsum(weights[word] for word in shared) / math.fsum(weights.values()), 4)


def _rows_with(database: sqlite3.Connection, word: str) -> int:
    found = database.execute("SELECT doc FROM known WHERE term = ?", (_term(word),)).fetchone()
    return found[0] if found else 0
