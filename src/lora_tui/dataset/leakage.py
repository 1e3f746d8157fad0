"""What leaks from test into train: measured for a split, and for a random one beside it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.model import LEAKAGE_FILE, Leakage, Pair

NEVER_TESTED = ("synthetic", "replay")  # origins
_DRAWS = 20

_lines = msgspec.json.Encoder()


def write_pairs(
    folder: Path, rows: Sequence[Candidate], pairs: Iterable[tuple[int, int, float]], placed: Sequence[str]
) -> None:
    """Write leakage.jsonl: the near-duplicates, and where each of the two fell."""
    with (folder / LEAKAGE_FILE).open("wb") as file:
        for one, other, similarity in pairs:
            pair = Pair(rows[one].id, rows[other].id, similarity, placed[one], placed[other])
            file.write(_lines.encode(pair) + b"\n")


def measured(
    candidates: Sequence[Candidate], placed: Sequence[str], pairs: Sequence[tuple[int, int, float]], seed: int
) -> Leakage:
    """Count test rows with a near-duplicate in train.

    `at_random` is the mean share of such rows over 20 draws of as many test and validation rows, one by one, from the
    same rows: those that are left when repeated examples are out already. Before that it would be higher. So it would
    be had every pair been named; of a row with very many twins some are (see twins.py).
    """
    near: dict[int, list[int]] = {}
    held = 0
    for one, other, _ in pairs:
        if placed[one] and placed[other]:
            near.setdefault(one, []).append(other)
            near.setdefault(other, []).append(one)
            held += 1
    test = [place for place, split in enumerate(placed) if split == "test"]
    return Leakage(
        test_rows=len(test),
        leaked=_leaked(test, near, {place for place, split in enumerate(placed) if split == "train"}),
        at_random=_at_random(candidates, placed, near, seed) if test else 0.0,
        pairs=held,
    )


def _leaked(test: Sequence[int], near: dict[int, list[int]], train: set[int]) -> int:
    return sum(1 for place in test if any(other in train for other in near.get(place, ())))


def _at_random(candidates: Sequence[Candidate], placed: Sequence[str], near: dict[int, list[int]], seed: int) -> float:
    there = sorted((place for place, split in enumerate(placed) if split), key=lambda place: candidates[place].id)
    held_out = ("test", "validation")  # an imported file may test on what is never drawn here
    drawable = [place for place in there if candidates[place].origin not in NEVER_TESTED or placed[place] in held_out]
    tested, validated = placed.count("test"), placed.count("validation")
    drawn = random.Random(int.from_bytes(hashlib.sha256(f"{seed}\0leakage".encode()).digest()[:8], "big"))
    leaked = 0
    for _ in range(_DRAWS):
        taken = drawn.sample(drawable, tested + validated)
        leaked += _leaked(taken[:tested], near, set(there).difference(taken))
    return round(leaked / (tested * _DRAWS), 4)
