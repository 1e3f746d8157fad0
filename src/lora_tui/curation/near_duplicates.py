"""Near-duplicates: which texts are almost the same, by MinHash and then by counting.

A text is the set of its 5-token shingles. rensa computes the signatures: 126 permutations in 21 bands of 6, so that a
Jaccard index of 0.7 shares a band with probability 0.93, 0.8 with 0.998 (16 bands of 8: 0.61 and 0.95). What shares a
band is verified by counting. Measured beside datasketch 2 (ten times the time) and semhash (wants a downloaded model).
rensa's own index cannot be filled from stored signatures, so the banding is done here, over their bytes.
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from functools import lru_cache
from typing import Any

THRESHOLD = 0.7
VERSION = "1"  # raise it when the same text would give another signature

_PERMUTATIONS = 126
_BANDS = 21
_SHINGLE = 5  # tokens
_TOKEN = re.compile(r"\w+|[^\w\s]")
_BAND_BYTES = _PERMUTATIONS // _BANDS * 4
_TRIES = 50  # members of one group that a text is compared with
_KEPT = 6_000_000  # shingles, of 8 bytes
_SHORT = 100_000  # characters of a text whose tokens are remembered for whoever asks next

Shingles = frozenset[str]


def tokens(text: str) -> tuple[str, ...]:
    """Words and single signs. A row is looked at in several ways, one after the other: the latest texts are kept."""
    return _tokens(text) if len(text) < _SHORT else tuple(_TOKEN.findall(text))


@lru_cache(maxsize=16)
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(text))


def shingles(text: str) -> Shingles:
    """Five tokens each, joined by a space; a text of fewer tokens is one shingle."""
    found = tokens(text)
    if len(found) < _SHINGLE:
        return frozenset([" ".join(found)]) if found else frozenset()
    return frozenset(map(" ".join, zip(*(found[start:] for start in range(_SHINGLE)), strict=False)))


def jaccard(one: Set[Any], other: Set[Any]) -> float:
    """What they share, of what they have together; 0 for two empty ones."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0


def signatures(texts: Iterable[Shingles]) -> Iterator[bytes]:
    """504 bytes each; empty for a text without tokens, which resembles nothing."""
    from rensa import RMinHash  # type: ignore[import-untyped]  # compiled: not loaded to list examples

    for found in texts:
        if not found:
            yield b""
            continue
        minhash = RMinHash(num_perm=_PERMUTATIONS, seed=1)
        minhash.update(list(found))
        yield array("I", minhash.digest()).tobytes()


class Groups:
    """Disjoint sets of ids (union-find); each is named by its smallest member."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}

    def of(self, member: int) -> int:
        """The name of the member's group."""
        root = member
        while (above := self._above.get(root, root)) != root:
            root = above
        while member != root:
            self._above[member], member = root, self._above.get(member, member)
        return root

    def members(self) -> set[int]:
        """Everybody who was joined with somebody."""
        return self._above.keys() | set(self._above.values())

    def join(self, one: int, other: int) -> None:
        """Make one group of two."""
        low, high = sorted((self.of(one), self.of(other)))
        if low != high:
            self._above[high] = low


def link(
    groups: Groups, fresh: Mapping[int, bytes], known: Iterable[tuple[int, bytes]], read: Callable[[int], Set[Any]]
) -> None:
    """Join in `groups` every fresh text with what it resembles, among the fresh ones and the known ones.

    `fresh` and `known` are ids with signatures; known texts are not compared with each other. `read` gives a text's
    shingles; called for candidates only.
    """
    first: list[dict[bytes, int]] = [{} for _ in range(_BANDS)]  # most are alone with their values: no list for them
    more: list[dict[bytes, list[int]]] = [{} for _ in range(_BANDS)]
    for identity in sorted(fresh):
        for band, values in enumerate(_bands(fresh[identity])):
            other = first[band].setdefault(values, identity)
            if other != identity:
                more[band].setdefault(values, [other]).append(identity)
    near: dict[int, set[int]] = defaultdict(set)
    for identity, signature in known:
        for band, values in enumerate(_bands(signature)):
            if values in first[band]:
                for other in more[band].get(values) or (first[band][values],):
                    near[other].add(identity)
    for identity in sorted(fresh):
        candidates = near.pop(identity, set())
        for band, values in enumerate(_bands(fresh[identity])):
            if values in more[band]:
                candidates.update(other for other in more[band][values] if other < identity)
        if candidates:
            _join(groups, identity, candidates, read)


def _join(groups: Groups, identity: int, candidates: set[int], read: Callable[[int], Set[Any]]) -> None:
    tried: dict[int, int] = defaultdict(int)
    own = read(identity)
    for other in sorted(candidates):
        group = groups.of(other)
        if group == groups.of(identity) or tried[group] >= _TRIES:
            continue
        tried[group] += 1
        if jaccard(own, read(other)) >= THRESHOLD:
            groups.join(identity, other)


def _bands(signature: bytes) -> list[bytes]:
    return [signature[start : start + _BAND_BYTES] for start in range(0, len(signature), _BAND_BYTES)]


class Remembered:
    """Shingles as numbers, those of the latest texts, as many as fit: a tenth of the time of reading a text again."""

    def __init__(self, read: Callable[[int], Shingles]) -> None:
        self._read = read
        self._known: dict[int, array[int]] = {}
        self._size = 0

    def __call__(self, identity: int) -> set[int]:
        """The shingles' hashes, which mean the same within this process alone."""
        found = self._known.get(identity)
        return set(self.keep(identity, self._read(identity)) if found is None else found)

    def keep(self, identity: int, found: Shingles) -> array[int]:
        """Remember a text's shingles; the oldest are forgotten for it."""
        hashes = self._known[identity] = array("q", map(hash, found))
        self._size += len(hashes)
        while self._size > _KEPT and len(self._known) > 1:
            oldest = next(iter(self._known))
            self._size -= len(self._known.pop(oldest))
        return hashes
