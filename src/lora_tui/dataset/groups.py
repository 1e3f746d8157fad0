"""Rows that must fall into the same split: of one session or commit, and near-duplicates of each other."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

import msgspec

from lora_tui.curation.near_duplicates import Groups
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.leakage import NEVER_TESTED


class Group(msgspec.Struct, frozen=True):
    """Rows that are placed together. Synthetic and replay rows are members, but nothing is measured on them."""

    name: str  # the least of what its members are called
    members: tuple[int, ...]
    languages: Counter[str]  # of its real rows
    repositories: frozenset[str]  # of its real rows
    since: int  # when its oldest real row was made, epoch milliseconds
    fixed: str  # the split it has to be in; '' where it may be in any

    @property
    def rows(self) -> int:
        """Real rows."""
        return self.languages.total()


def grouped(
    candidates: Sequence[Candidate],
    pairs: Sequence[tuple[int, int, float]],
    old_test: Collection[str],
    old_validation: Collection[str],
) -> list[Group]:
    """Every candidate is in one group; the groups are in the order of their names."""
    joined = Groups()
    first: dict[str, int] = {}
    for place, item in enumerate(candidates):
        for tie in ties(item):
            joined.join(place, first.setdefault(tie, place))
    for one, other, _ in pairs:
        joined.join(one, other)
    members: dict[int, list[int]] = defaultdict(list)
    for place in range(len(candidates)):
        members[joined.of(place)].append(place)
    found = [
        _group([candidates[place] for place in places], places, old_test, old_validation) for places in members.values()
    ]
    return sorted(found, key=lambda group: group.name)


def drawn(seed: int, name: str) -> bytes:
    """A sort key that puts names in an order drawn from the seed."""
    return hashlib.sha256(f"{seed}\0{name}".encode(errors="replace")).digest()


def ties(item: Candidate) -> Iterator[str]:
    """Names of what a row shares with those it must be with: session or commit, cluster, content."""
    yield _origin(item)
    if item.cluster:
        yield f"\0cluster {item.cluster}"
    if item.key:
        yield f"\0key {item.key}"


def _origin(item: Candidate) -> str:
    """A session with its subagents' ones; a commit, whatever the languages of its files."""
    if item.origin == "commit":
        return item.root.partition(":")[0] or item.id
    return item.root or item.session or item.id


def _group(
    items: Sequence[Candidate], places: Sequence[int], old_test: Collection[str], old_validation: Collection[str]
) -> Group:
    real = [item for item in items if item.origin not in NEVER_TESTED]
    fixed = ""
    if any(item.id in old_test or item.key in old_test for item in real):
        fixed = "test"
    elif len(real) < len(items):
        fixed = "train"
    elif any(item.id in old_validation or item.key in old_validation for item in real):
        fixed = "validation"
    return Group(
        name=min(map(_origin, items)),
        members=tuple(places),
        languages=Counter(item.language for item in real),
        repositories=frozenset(item.repository for item in real if item.repository),
        since=min((item.created for item in real), default=0),
        fixed=fixed,
    )
