"""Train, validation and test, so that nothing of test was seen in train.

What hangs together (groups.py) falls into one split. Where the rows come from four repositories or more, whole ones are
held out, the smallest one where none is small enough; else test is the newest by time and validation the next newest.
A group is as old as its oldest row: no row of test is older than the beginning of any group that it was preferred to.
Every language has its share of test, and 20 rows of it where it has 100 or more; languages too rare for a row of their
own share one.

A group may be too large for what is wanted; the next one that fits is taken instead. So a split is off by half of its
largest group at most, in each language, where a group has one language.

What was in test stays there, with its whole group; synthetic and replay rows are never measured on, and a group that
holds one trains. Where both are true the synthetic row is in no split. Train is left at least one group.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from lora_tui.dataset.balance import NEEDED, Balance
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.groups import Group, drawn, grouped
from lora_tui.dataset.leakage import NEVER_TESTED, measured
from lora_tui.dataset.model import SPLITS, Leakage

REPOSITORIES = 4  # from so many on whole ones are held out
LEFT_OUT = "made of, or the same as, a row of test"  # why a synthetic row is in no split

_BY_TIME = "the newest rows in test, the next newest in validation"
_WHOLE = "whole repositories held out"
_TOGETHER = "rows of one session or commit and near-duplicates together"


class Assigned(msgspec.Struct, frozen=True):
    """Where every candidate falls. `placed` is '' for a synthetic row that resembles a row of test: see LEFT_OUT."""

    placed: list[str]
    groups: list[str]  # name of each candidate's group
    rule: str
    notes: tuple[str, ...]
    leakage: Leakage


def assign(
    candidates: Sequence[Candidate],
    pairs: Sequence[tuple[int, int, float]],
    shares: Sequence[int],
    seed: int,
    old_test: Collection[str] = (),
    old_validation: Collection[str] = (),
    old_train: Collection[str] = (),
) -> Assigned:
    """Place the candidates; the same ones give the same splits in whatever order they come.

    pairs: near-duplicates by place, as twins.pairs gives them. shares: percent for train, validation, test.
    old_…: ids and keys of an earlier version's rows. Old test rows stay in test even where train is left empty by it.
    """
    groups = grouped(candidates, pairs, old_test, old_validation)
    placing = _Placing(groups, seed)
    repositories = {name for group in groups for name in group.repositories}
    whole = _Repositories(candidates, groups, old_train) if len(repositories) >= REPOSITORIES else None
    notes: list[str] = []
    for split in ("test", "validation"):
        share = shares[SPLITS.index(split)]
        if share:
            placing.fill(split, share, whole, notes)
    placed = [""] * len(candidates)
    names = [""] * len(candidates)
    for group in groups:
        for place in group.members:
            names[place] = group.name
            real = candidates[place].origin not in NEVER_TESTED
            placed[place] = placing.split_of(group) if real or placing.split_of(group) == "train" else ""
    leakage = measured(candidates, placed, pairs, seed)
    notes += _told(candidates, groups, placed, placing, shares, old_train)
    rule = f"{_WHOLE if whole and whole.held_out else _BY_TIME}; {_TOGETHER}"
    return Assigned(placed, names, rule, tuple(notes), leakage)


class _Placing:
    """Groups on their way into splits."""

    def __init__(self, groups: Sequence[Group], seed: int) -> None:
        self._groups = groups
        self.seed = seed
        self._split = {group.name: group.fixed for group in groups}
        self._rows: Counter[str] = Counter()
        for group in groups:
            self._rows.update(group.languages)
        self._spare = sum(1 for group in groups if group.fixed in ("", "train"))  # of which train needs one

    def split_of(self, group: Group) -> str:
        """The split that a group is in by now."""
        return self._split[group.name] or "train"

    def open(self, group: Group) -> bool:
        """Whether it may still be placed."""
        return not self._split[group.name] and group.rows > 0

    def fill(self, split: str, share: int, whole: _Repositories | None, notes: list[str]) -> None:
        """Put groups into a split until it has its share."""
        balance = Balance(self._rows, share, floor=split == "test")
        for group in self._groups:
            if self._split[group.name] == split:
                balance.take(group.languages)
        if whole is not None:
            self._hold_out(split, balance, whole, notes)
        newest = sorted(self._groups, key=lambda group: (-group.since, drawn(self.seed, group.name)))
        missing = balance.missing() if whole is not None else None
        late: Counter[str] = Counter()
        for group in newest:
            if self.open(group) and balance.helps(group.languages, missing) and self._place([group], split):
                balance.take(group.languages)
                late.update(group.languages)
        if whole is not None and late:
            which = ", ".join(name or "no language" for name in sorted(late))
            notes.append(f"{which}: {late.total()} rows of {split} are the newest ones; no whole repository fits")

    def _hold_out(self, split: str, balance: Balance, whole: _Repositories, notes: list[str]) -> None:
        order = whole.order(self, split)
        taken = False
        for name, rest in order:
            groups = [group for group in rest if self.open(group)]  # one of two repositories may be placed by now
            rows = _languages(groups)
            if groups and (name in whole.before or balance.helps(rows)) and self._place(groups, split):
                balance.take(rows)
                whole.held_out.add(name)
                taken = True
        if taken or split != "test" or not balance.mostly_missing:
            return
        for name, groups in sorted(order, key=lambda item: _languages(item[1]).total()):
            rows = _languages(groups)
            if rows.total() * 2 <= self._rows.total() and self._place(groups, split):
                balance.take(rows)
                whole.held_out.add(name)
                notes.append(f"{rows.total()} rows are in {split}, more than asked for: the smallest repository")
                return

    def _place(self, groups: Sequence[Group], split: str) -> bool:
        """Put them there, unless train would be left with nothing."""
        if self._spare <= len(groups):
            return False
        self._spare -= len(groups)
        for group in groups:
            self._split[group.name] = split
        return True


class _Repositories:
    """Repositories that may be held out as a whole: none of their rows has to be in train, or was."""

    def __init__(self, candidates: Sequence[Candidate], groups: Sequence[Group], old_train: Collection[str]) -> None:
        self._groups: dict[str, list[Group]] = defaultdict(list)
        self.held_out: set[str] = set()
        for group in groups:
            for name in group.repositories:
                self._groups[name].append(group)
        trained = {item.repository for item in candidates if item.id in old_train or item.key in old_train}
        self._free = [
            name
            for name, found in self._groups.items()
            if name not in trained and all(group.fixed in ("", "test") for group in found)
        ]
        # Where it is known what trained, a repository that was in test and not in train was held out.
        self.before = {
            name for name in self._free if old_train and any(group.fixed == "test" for group in self._groups[name])
        }

    def order(self, placing: _Placing, split: str) -> list[tuple[str, list[Group]]]:
        """Those with rows to place, in an order drawn from the seed; for validation only while three are left."""
        if split == "validation":
            self.before = set()
        found = [
            (name, rest)
            for name in sorted(self._free, key=lambda name: (name not in self.before, drawn(placing.seed, name)))
            if name not in self.held_out and (rest := [one for one in self._groups[name] if placing.open(one)])
        ]
        return found if split == "test" or len(found) >= REPOSITORIES - 1 else []


def _languages(groups: Iterable[Group]) -> Counter[str]:
    found: Counter[str] = Counter()
    for group in groups:
        found.update(group.languages)
    return found


def _told(
    candidates: Sequence[Candidate],
    groups: Sequence[Group],
    placed: Sequence[str],
    placing: _Placing,
    shares: Sequence[int],
    old_train: Collection[str],
) -> list[str]:
    """What one should know of the split."""
    notes: list[str] = []
    real = Counter(item.language for item in candidates if item.origin not in NEVER_TESTED)
    tested = Counter(item.language for item, split in zip(candidates, placed, strict=True) if split == "test")
    if shares[SPLITS.index("test")]:
        for language in sorted(real):
            if tested[language] < NEEDED:
                which = language or "no language"
                notes.append(f"too few test rows of {which} to tell: {tested[language]} ({NEEDED} needed)")
    if left_out := sum(1 for split in placed if not split):
        notes.append(f"{left_out} synthetic rows are in no split: each is {LEFT_OUT}")
    if trained := sum(1 for group in groups if group.fixed == "train" for _ in range(group.rows)):
        notes.append(f"{trained} rows train whatever their age: synthetic rows resemble them")
    largest = max(groups, key=lambda group: group.rows, default=None)
    if largest is not None and largest.rows * 5 > real.total() and largest.rows > NEEDED:
        notes.append(
            f"{largest.rows} of {real.total()} rows hang together as near-duplicates or one session; "
            f"they are in {placing.split_of(largest)}"
        )
    if placed and shares[SPLITS.index("test")] and "test" not in placed:
        notes.append(
            "no row is in test: "
            + ("all rows hang together" if len(groups) == 1 else "what hangs together is too large for it")
            + "; accept examples of other sessions to have something to measure on"
        )
    moved = [
        item
        for item, split in zip(candidates, placed, strict=True)
        if split == "test" and (item.id in old_train or item.key in old_train)
    ]
    if moved:
        notes.append(f"{len(moved)} rows that trained before are in test now: adapters trained then know them")
    if placed and "train" not in placed:
        notes.append("nothing is left to train on: every row was in test before, or resembles one that was")
    return notes


def roots(parents: Mapping[str, str]) -> dict[str, str]:
    """For every session its outermost ancestor, given each delegated session's parent; safe against a circle."""
    found: dict[str, str] = {}
    for session in parents:
        current, seen = session, {session}
        while parents.get(current) and parents[current] not in seen:
            current = parents[current]
            seen.add(current)
        found[session] = current
    return found
