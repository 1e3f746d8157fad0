"""New rows that would drag rows of earlier versions into another split, or fill test beyond its share.

A row can resemble one that was in test and one that trained. Kept, it would make one group of both, and what trained
before would be in test now: with it all that hangs together there. So the new row is in no split, and the others stay
where they were. Nor does a split that rows were held out in grow without limit: half as much again as its share, or
two rows more than stay there anyway; of new rows that belong there only, those beyond that are in no split.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from lora_tui.curation.near_duplicates import Groups
from lora_tui.dataset import twins
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.earlier_versions import Earlier
from lora_tui.dataset.groups import ties
from lora_tui.dataset.leakage import NEVER_TESTED
from lora_tui.dataset.model import SPLITS, Rejected, Row
from lora_tui.dataset.twins import Pair

BETWEEN = "belongs to rows of {} and to rows of {}"
FULL = "belongs to rows of {}, which has its share"

_BEYOND = 1.5  # times its share a split may hold of rows that belong to old ones
_MORE = 2  # rows that may come to the old ones in any case


class Apart(msgspec.Struct, frozen=True):
    """The rows that may be split, with their near-duplicates, and those that are in no split."""

    candidates: list[Candidate]
    pairs: list[Pair]
    rejected: list[Rejected]


def apart(
    candidates: Sequence[Candidate],
    read: Callable[[int], Row],
    pairs: list[Pair],
    earlier: Earlier,
    shares: Sequence[int],
) -> Apart:
    """Leave out what joins the splits of earlier versions.

    read: the row of the candidate at a place. pairs: as twins.pairs gives them for all candidates; of a row with very
    many twins it names some, so those of a group that rows are taken from are looked for again.
    """
    kept, rejected = list(range(len(candidates))), list[Rejected]()
    room = {split: _BEYOND * shares[SPLITS.index(split)] * len(candidates) / 100 for split in ("test", "validation")}
    now = list(candidates)
    while found := _joining(now, pairs, earlier, room):
        rejected += [Rejected(now[at].id, now[at].example, found[at], now[at].request) for at in sorted(found)]
        pairs = _without(found.keys(), kept, pairs, read)
        kept = [at for place, at in enumerate(kept) if place not in found]
        now = [candidates[at] for at in kept]
    return Apart(now, pairs, rejected)


def _joining(
    candidates: Sequence[Candidate], pairs: Sequence[Pair], earlier: Earlier, room: Mapping[str, float]
) -> dict[int, str]:
    """The places of the rows to leave out, and why. room: rows that a split may have in all."""
    before = [_before(item, earlier) for item in candidates]
    if not any(split in ("test", "validation") for split in before):
        return {}
    near: dict[int, list[int]] = {}
    for one, other, _ in pairs:
        near.setdefault(one, []).append(other)
        near.setdefault(other, []).append(one)
    admitted = _Admitted(candidates, before, near)
    old = [place for place, split in enumerate(before) if split]
    for place in old:
        admitted.add(place)
    admitted.limit(room)
    found: dict[int, str] = {}
    for place in _in_order(candidates, before, near, admitted):
        if reason := admitted.against(place):
            found[place] = reason
        else:
            admitted.add(place)
    return found


def _before(item: Candidate, earlier: Earlier) -> str:
    """The split that a real row was in; '' where it is new."""
    if item.origin in NEVER_TESTED:
        return ""
    for split, marks in (("test", earlier.test), ("validation", earlier.validation), ("train", earlier.train)):
        if item.id in marks or item.key in marks:
            return split
    return ""


def _in_order(
    candidates: Sequence[Candidate], before: Sequence[str], near: dict[int, list[int]], admitted: _Admitted
) -> list[int]:
    """The new rows: those that hang on an old row last, synthetic ones after all others."""

    def rank(place: int) -> tuple[bool, bool, int, str]:
        item = candidates[place]
        return item.origin in NEVER_TESTED, bool(admitted.beside(place)), item.created, item.id

    return sorted((place for place, split in enumerate(before) if not split), key=rank)


class _Admitted:
    """Rows that are in by now, hanging together; each group with the split it has to be in and its real rows."""

    def __init__(self, candidates: Sequence[Candidate], before: Sequence[str], near: dict[int, list[int]]) -> None:
        self._candidates, self._before, self._near = candidates, before, near
        self._groups = Groups()
        self._first: dict[str, int] = {}  # of each session, cluster, example: a row of it
        self._split: dict[int, str] = {}
        self._rows: dict[int, int] = {}
        self._in: set[int] = set()
        self._room: dict[str, float] = {}

    def beside(self, place: int) -> set[int]:
        """The groups that a row belongs to."""
        found = {self._groups.of(other) for other in self._near.get(place, ()) if other in self._in}
        found |= {self._groups.of(self._first[tie]) for tie in ties(self._candidates[place]) if tie in self._first}
        return found

    def against(self, place: int) -> str:
        """Why the row may not be in; '' where it may."""
        groups = self.beside(place)
        splits = {self._split[group] for group in groups} - {""}
        if len(splits) > 1:
            told = [name for name in SPLITS if name in splits]
            return BETWEEN.format(told[0], told[-1])
        if (split := min(splits, default="")) in self._room:
            more = self._real(place) + sum(self._rows[group] for group in groups if not self._split[group])
            if more > self._room[split]:
                return FULL.format(split)
        return ""

    def add(self, place: int) -> None:
        """Take the row in."""
        groups = self.beside(place)
        splits = {self._split[group] for group in groups} | {self._before[place]}
        split = next((name for name in ("test", "validation", "train") if name in splits), "")
        rows = self._real(place)
        if split in self._room:
            self._room[split] -= rows + sum(self._rows[group] for group in groups if not self._split[group])
        for group in groups:
            del self._split[group]
            rows += self._rows.pop(group)
            self._groups.join(place, group)
        self._in.add(place)
        for tie in ties(self._candidates[place]):
            self._first.setdefault(tie, place)
        name = self._groups.of(place)
        self._split[name], self._rows[name] = split, rows

    def limit(self, room: Mapping[str, float]) -> None:
        """What is in by now stays; say how much may come to it."""
        for split, most in room.items():
            there = sum(rows for group, rows in self._rows.items() if self._split[group] == split)
            self._room[split] = max(most - there, _MORE)

    def _real(self, place: int) -> int:
        return int(self._candidates[place].origin not in NEVER_TESTED)


def _without(
    gone: Collection[int], kept: Sequence[int], pairs: Sequence[Pair], read: Callable[[int], Row]
) -> list[Pair]:
    """The twins among what is left of `kept`, by their places there."""
    groups = Groups()
    for one, other, _ in pairs:
        groups.join(one, other)
    touched = {groups.of(place) for place in gone}
    left = [place for place in range(len(kept)) if place not in gone]
    again = [place for place in left if groups.of(place) in touched]
    rows = (read(kept[place]) for place in again)
    found = [pair for pair in pairs if groups.of(pair[0]) not in touched]
    found += [
        (again[one], again[other], near) for one, other, near in twins.pairs(rows, lambda at: read(kept[again[at]]))
    ]
    now = {place: at for at, place in enumerate(left)}
    return sorted((now[one], now[other], near) for one, other, near in found)
