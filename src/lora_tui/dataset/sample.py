"""How often each row of train stands there: of too many rows of a language some are drawn, too few are repeated.

Validation and test are never sampled: they measure what there is.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.model import Rejected
from lora_tui.workspace.profiles import Data


class Sampled(msgspec.Struct, frozen=True):
    """What became of the rows of train."""

    copies: dict[str, int]  # row id -> how often it stands in train: 0 is left out, 2 is a row and one repetition
    rejected: list[Rejected]
    notes: tuple[str, ...]


def sample(train: Sequence[Candidate], data: Data, seed: int) -> Sampled:
    """Bring each language of train to the number of rows that `data.rows` wants, as far as `data.repeat` allows.

    Which rows are drawn, and which are repeated once more than the others, is told by the seed and the rows' ids:
    the order of `train` does not matter.
    """
    by_language: dict[str, list[Candidate]] = defaultdict(list)
    for item in train:
        by_language[item.language].append(item)
    copies = {item.id: 1 for item in train}
    rejected: list[Rejected] = []
    notes: list[str] = []
    for language, wanted in sorted(data.rows.items()):
        items = sorted(by_language.get(language, ()), key=lambda item: _drawn(item, seed))
        if not wanted:
            continue
        if not items:
            notes.append(f"{language}: none of the {wanted:,} rows wanted in train")
        elif len(items) > wanted:
            reason = f"{language}: {wanted:,} of {len(items):,} rows drawn for train"
            notes.append(reason)
            for item in items[wanted:]:
                copies[item.id] = 0
                rejected.append(Rejected(item.id, item.example, reason, item.request))
        elif len(items) < wanted:
            notes.append(_repeat(items, wanted, data.repeat, copies))
    notes += _synthetic(by_language, copies, data.synthetic_share)
    return Sampled(copies, rejected, tuple(notes))


def _repeat(items: Sequence[Candidate], wanted: int, most: int, copies: dict[str, int]) -> str:
    """Set how often these rows stand in train; returns what to say about it."""
    language, there = items[0].language, len(items)
    reached = min(wanted, there * most)
    each, more = divmod(reached, there)
    for position, item in enumerate(items):
        copies[item.id] = each + (position < more)
    short = "" if reached == wanted else f"; {reached:,} of {wanted:,} rows wanted in train"
    if reached == there:
        return f"{language}: {there:,} of {wanted:,} rows wanted in train"
    parts = [(there - more, each), (more, each + 1)]
    said = " and ".join(_stand(number, times) for number, times in parts if number)
    return f"{language}: {said} in train{short}"


def _stand(rows: int, times: int) -> str:
    often = {1: "once", 2: "twice"}.get(times, f"{times} times")
    return f"{rows:,} row{' stands' if rows == 1 else 's stand'} {often}"


def _synthetic(by_language: dict[str, list[Candidate]], copies: dict[str, int], share: float) -> list[str]:
    """The languages whose train is more synthetic than the version may be: synthetic rows all stand in train."""
    notes: list[str] = []
    for language, items in sorted(by_language.items()):
        total = sum(copies[item.id] for item in items)
        made = sum(copies[item.id] for item in items if item.origin == "synthetic")
        if total and made / total > share + 1e-9:
            notes.append(
                f"{language}: {made / total:.0%} of train is synthetic ({made:,} of {total:,} rows): "
                f"the limit of {share:.0%} counts validation and test too"
            )
    return notes


def _drawn(item: Candidate, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{item.id}".encode()).digest()
