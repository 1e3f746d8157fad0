"""In which order examples are looked at."""

from __future__ import annotations

import random
import sqlite3
from array import array
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Literal, get_args

from lora_tui.curation.decisions import DIFFERING
from lora_tui.curation.filters import DISAGREES, LANGUAGE

Order = Literal["recent", "uncertain", "disagree", "rarest", "longest", "shortest", "random"]

ORDERS: tuple[Order, ...] = get_args(Order)

WORDS: dict[Order, str] = {
    "recent": "newest first",
    "uncertain": "least certain first",
    "disagree": "disagreements first",
    "rarest": "rarest language first",
    "longest": "longest first",
    "shortest": "shortest first",
    "random": "at random",
}

# First where the rules and the written code disagree, then where two people do, then a person with the rules.
_DISAGREEMENT = f"""
CASE WHEN {DISAGREES} THEN 0.0
     WHEN example.id IN ({DIFFERING}) THEN 2.0
     WHEN example.human_language != example.language THEN 4.0
     ELSE 6.0 END - example.confidence
"""

# What an order sorts by; the newest comes first among equals. SQLite's sorter takes three times what Python's does.
_KEYS: dict[Order, str] = {
    "uncertain": "example.confidence",
    "disagree": _DISAGREEMENT,
    "rarest": LANGUAGE,
    "longest": "-example.characters",
    "shortest": "example.characters",
}

_VAGUE = ("none", "mixed")


def ordered(
    connection: sqlite3.Connection, source: str, values: Sequence[object], order: Order, seed: str
) -> array[int]:
    """The ids of `source` (FROM … WHERE …, with its values) in order; `seed` decides what 'random' means."""
    key = _KEYS.get(order, "NULL")
    found = connection.execute(
        f"SELECT example.id, {key} {source} ORDER BY example.created DESC, example.id DESC", values
    )
    if order == "recent":
        return array("q", (row[0] for row in found))
    rows = found.fetchall()
    if order == "random":
        rows.sort()  # the mixture depends on which examples there are, not on when they came
        random.Random(seed).shuffle(rows)
    elif order == "rarest":
        numbers = Counter(row[1] for row in rows)
        rank = {language: (language in _VAGUE, number, language) for language, number in numbers.items()}
        rows.sort(key=lambda row: rank[row[1]])
    else:
        rows.sort(key=itemgetter(1))
    return array("q", (row[0] for row in rows))
