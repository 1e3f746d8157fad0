"""Which split an imported row falls into, and what is alike in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from lora_tui.dataset import twins
from lora_tui.dataset.apart import apart
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.earlier_versions import Earlier
from lora_tui.dataset.leakage import measured
from lora_tui.dataset.model import Leakage, Rejected, Row
from lora_tui.dataset.split import Assigned, assign
from lora_tui.dataset.twins import Pair

_NONE_HELD_OUT = "all rows are in train: nothing is held out to measure on (--split 80/10/10 would)"


class Split(msgspec.Struct, frozen=True):
    """Rows with their splits, in the order they were given, and their near-duplicates."""

    rows: list[Candidate]
    assigned: Assigned
    pairs: list[Pair]
    rejected: list[Rejected] = []


def drawn(
    rows: Sequence[Candidate], read: Callable[[int], Row], shares: tuple[int, int, int], seed: int, earlier: Earlier
) -> Split:
    """Splits as a build makes them. read: the row of the candidate at a place."""
    near = twins.pairs(map(read, range(len(rows))), read)
    found = apart(rows, read, near, earlier, shares)
    assigned = assign(found.candidates, found.pairs, shares, seed, earlier.test, earlier.validation, earlier.train)
    return Split(found.candidates, assigned, found.pairs, found.rejected)


def as_told(
    rows: Sequence[Candidate],
    splits: Sequence[str],
    copies: Sequence[int],
    read: Callable[[int], Row],
    seed: int,
    earlier: Earlier,
) -> Split:
    """Splits as the files have them; '' is train. What leaks in them is measured and told, and stays as it is.

    copies: of each row, 0 for the first. Repetitions of a row are no near-duplicates of it.
    """
    once = [place for place, copy in enumerate(copies) if not copy]
    near = twins.pairs((read(place) for place in once), lambda at: read(once[at]))
    pairs = [(once[one], once[other], similarity) for one, other, similarity in near]
    placed = [split or "train" for split in splits]
    whole = not any(splits)
    notes = [_NONE_HELD_OUT] if whole else []
    leakage = Leakage(pairs=len(pairs))
    if "test" in placed:
        leakage = measured(
            [rows[place] for place in once],
            [placed[place] for place in once],
            near,
            seed,
        )
        if leakage.leaked:
            notes.append(
                f"{leakage.leaked} of {leakage.test_rows} test rows have a near-duplicate in train, as the files have"
                " it: leakage.jsonl names them"
            )
    trained = sum(
        1
        for item, split in zip(rows, placed, strict=True)
        if split == "train" and (item.id in earlier.test or item.key in earlier.test)
    )
    if trained:
        notes.append(f"{trained} rows of train were in test in an earlier version: a test with both proves nothing")
    rule = "all in train" if whole else "as the files had it"
    where: dict[str, set[str]] = {}
    for item, split in zip(rows, placed, strict=True):
        where.setdefault(item.root, set()).add(split)
    parted = {name for name, found in where.items() if len(found) > 1}
    if parted:
        notes.append(f"{len(parted)} sessions have rows in more than one split, as the files have it")
    groups = [f"{item.root} in parts: {item.id}" if item.root in parted else item.root for item in rows]
    return Split(list(rows), Assigned(placed, groups, rule, tuple(notes), leakage), pairs)
