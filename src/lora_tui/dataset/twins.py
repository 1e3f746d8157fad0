"""Which rows of a dataset are near-duplicates, in what they ask, answer or write, and not only as a whole.

Two rows are twins when pieces of one kind (see written.py) of at least 20 tokens have a Jaccard index of 0.7 or more
over their five-token shingles. Code counts however often it occurs. A request or an answer that more than 20 rows have
in common is a formula (a slash command, a stock answer): it makes no twins.

MinHash signatures in 31 bands of 4 find the candidates: a pair at exactly 0.7 is missed in 2 cases of 10,000, at 0.8 in
fewer than one of a million; then the shingles are counted. Signatures wait in a temporary file and one band at a time
is sorted, so memory grows by some 100 bytes per piece. A row with very many twins is given ten and those that connect
it with the others: who hangs together is told in full.
"""

from __future__ import annotations

import hashlib
import operator
import os
import tempfile
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from typing import BinaryIO

from lora_tui.curation.near_duplicates import (
    THRESHOLD,
    Groups,
    Remembered,
    Shingles,
    jaccard,
    shingles,
    signatures,
)
from lora_tui.dataset.model import Row
from lora_tui.dataset.written import Kind, Piece, pieces

LEAST = 20  # tokens of a piece that says enough to be compared
NAMED = 10  # twins of a row that are named; more only where they connect it
FORMULA = 20  # rows that may share a request or an answer before it is taken for a formula

_KINDS: tuple[Kind, ...] = ("code", "request", "answer")
_SHINGLES_LEAST = LEAST - 4  # of so many tokens, where none repeats
_BAND = 16  # bytes: four values
_BANDS = 31
_SIGNATURE = 504  # bytes
_VALUES = _SIGNATURE // 4
_PROMISING = _VALUES // 2  # equal values of a signature: five standard deviations below what 0.7 gives
_HALVES = _SIGNATURE // 8  # a band has two
_MIX, _MOST, _LOW = 0x9E3779B1, (1 << 62) - 1, (1 << 32) - 1
_PARTNERS = 50  # earlier pieces of one bucket that a piece is compared with
_BLOCK = 2_000  # signatures read at a time

Pair = tuple[int, int, float]


def alike(one: Row, other: Row) -> float:
    """The greatest similarity of comparable pieces of two rows, 0 to 1."""
    theirs = [(piece.kind, found) for piece, found in _compared(other)]
    return max(
        (jaccard(mine, found) for piece, mine in _compared(one) for kind, found in theirs if kind == piece.kind),
        default=0.0,
    )


def pairs(rows: Iterable[Row], read: Callable[[int], Row]) -> list[Pair]:
    """The twins among rows, as (place, later place, similarity), in order; places count from 0.

    rows: gone through once. read: the row at a place, asked for candidates only.
    """
    best: dict[int, float] = {}
    with tempfile.TemporaryFile() as file:
        index = _Index(rows, file, read)
        for kind in _KINDS:
            for places, similarity in index.twins(kind).telling(kind != "code"):
                best[places] = max(similarity, best.get(places, 0.0))
    return [(places >> 32, places & _LOW, round(best.pop(places), 3)) for places in sorted(best)]


def _compared(row: Row) -> Iterator[tuple[Piece, Shingles]]:
    """The pieces that say enough, with their shingles."""
    for piece in pieces(row):
        found = shingles(piece.text)
        if len(found) >= _SHINGLES_LEAST:
            yield piece, found


class _Twins:
    """Pairs of places, each as one number. Of a row with many twins those that connect it stay, and a few more."""

    def __init__(self, rows: int) -> None:
        self._similarity: dict[int, float] = {}
        self._number = array("H", bytes(2 * rows))  # of each row's pairs
        self._groups = Groups()

    def add(self, one: int, other: int, similarity: float) -> None:
        """Note a pair."""
        if one == other:
            return
        places = one << 32 | other if one < other else other << 32 | one
        if places in self._similarity:
            self._similarity[places] = max(similarity, self._similarity[places])
            return
        if max(self._number[one], self._number[other]) >= NAMED and self._groups.of(one) == self._groups.of(other):
            return
        self._similarity[places] = similarity
        self._groups.join(one, other)
        for place in (one, other):
            self._number[place] = min(self._number[place] + 1, NAMED)

    def telling(self, formulas: bool) -> Iterator[tuple[int, float]]:
        """The pairs; where there may be formulas, without those."""
        sizes = Counter(self._groups.of(member) for member in self._groups.members()) if formulas else Counter[int]()
        for places, similarity in self._similarity.items():
            if sizes[self._groups.of(places >> 32)] <= FORMULA:
                yield places, similarity


class _Index:
    """The different pieces of all rows: whose they are, and their signatures in a file."""

    def __init__(self, rows: Iterable[Row], file: BinaryIO, read: Callable[[int], Row]) -> None:
        self._file, self._row, self._rows = file, read, 0
        self._owners, self._kinds, self._turns = array("L"), array("B"), array("H")
        self._same: dict[int, list[int]] = {}  # piece -> the other rows that have it, word for word
        self._remembered = Remembered(self._shingles)
        for signature in signatures(self._different(rows)):
            file.write(signature)
        file.flush()

    def _different(self, rows: Iterable[Row]) -> Iterator[Shingles]:
        """The shingles of every piece that no earlier row has."""
        known: dict[int, int] = {}
        for place, row in enumerate(rows):
            self._rows = place + 1
            for turn, (piece, found) in enumerate(_compared(row)):
                mark = hashlib.blake2b(f"{piece.kind}\0{' '.join(piece.text.split())}".encode(errors="replace"))
                number = known.setdefault(int.from_bytes(mark.digest()[:8], "big"), len(self._owners))
                if number < len(self._owners):
                    if self._owners[number] != place:
                        self._same.setdefault(number, []).append(place)
                    continue
                self._owners.append(place)
                self._kinds.append(_KINDS.index(piece.kind))
                self._turns.append(min(turn, 65_535))
                yield found

    def _shingles(self, number: int) -> Shingles:
        for turn, (_, found) in enumerate(_compared(self._row(self._owners[number]))):
            if turn == self._turns[number]:
                return found
        return frozenset()

    def twins(self, kind: Kind) -> _Twins:
        """Places of rows with comparable pieces of this kind that are alike."""
        code = _KINDS.index(kind)
        found = _Twins(self._rows)
        for number, places in self._same.items():
            if self._kinds[number] == code:
                everyone = [self._owners[number], *places]
                for at, place in enumerate(everyone):
                    for other in everyone[max(0, at - _PARTNERS) : at]:
                        found.add(other, place, 1.0)
        for one, other, similarity in self._alike(code):
            ones = [self._owners[one], *self._same.get(one, ())]
            others = [self._owners[other], *self._same.get(other, ())]
            if len(ones) * len(others) > _PARTNERS**2:  # each is a twin of its own likes already
                ones, others = ones[:1], others[:1]
            for mine in ones:
                for theirs in others:
                    found.add(mine, theirs, similarity)
        return found

    def _alike(self, code: int) -> Iterator[Pair]:
        """Pieces of one kind with a Jaccard index of at least THRESHOLD."""
        chosen = array("L", (number for number, kind in enumerate(self._kinds) if kind == code))
        for band in range(_BANDS):
            for one, other in _in_one_bucket(self._values(band, code), chosen):
                mine, theirs = self._signature(one), self._signature(other)
                if any(mine[at : at + _BAND] == theirs[at : at + _BAND] for at in range(0, band * _BAND, _BAND)):
                    continue  # compared with an earlier band
                equal = sum(map(operator.eq, memoryview(mine).cast("I"), memoryview(theirs).cast("I")))
                if equal < _PROMISING:
                    continue
                similarity = jaccard(self._remembered(one), self._remembered(other))
                if similarity >= THRESHOLD:
                    yield one, other, similarity

    def _signature(self, number: int) -> bytes:
        return os.pread(self._file.fileno(), _SIGNATURE, number * _SIGNATURE)

    def _values(self, band: int, code: int) -> array[int]:
        """One band's values of every piece of this kind, as one number each."""
        values = array("q")
        for first in range(0, len(self._owners), _BLOCK):
            block = os.pread(self._file.fileno(), _BLOCK * _SIGNATURE, first * _SIGNATURE)
            halves = memoryview(block).cast("Q")
            ones, others = halves[2 * band :: _HALVES].tolist(), halves[2 * band + 1 :: _HALVES].tolist()
            wanted = map(code.__eq__, self._kinds[first : first + _BLOCK])
            values.extend(
                (one * _MIX + other) & _MOST for one, other in compress(zip(ones, others, strict=True), wanted)
            )
        return values


def _in_one_bucket(values: array[int], numbers: array[int]) -> Iterator[tuple[int, int]]:
    """Those with the same value, two at a time; each with its nearest earlier ones."""
    seen: set[int] = set()
    shared = {value for value in values if value in seen or seen.add(value)}  # type: ignore[func-returns-value]
    seen.clear()
    buckets: dict[int, list[int]] = {}
    for at in compress(range(len(values)), map(shared.__contains__, values)):
        bucket = buckets.setdefault(values[at], [])
        for other in bucket[-_PARTNERS:]:
            yield numbers[other], numbers[at]
        bucket.append(at)
