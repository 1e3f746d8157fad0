"""Which lines differ between two versions of a file: cheap, because most of both is the same at both ends.

difflib over whole files takes ten times longer: what is equal at both ends is cut away by comparing blocks of bytes,
small changes end where two lines agree again, and lines that occur once on both sides anchor the rest (patience diff).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from difflib import SequenceMatcher
from itertools import accumulate
from typing import NamedTuple

_NEAR = 20  # lines of a small change, both sides together
_SAYS_NOTHING = 4  # characters: a bracket, `end`, `else`
_CLOSE_LOOK = 40_000  # pairs of lines between two anchors that difflib may compare


class Hunk(NamedTuple):
    """before[a0:a1] became after[b0:b1]: bytes, from the start of a line to the start of one (or the end)."""

    a0: int
    a1: int
    b0: int
    b1: int


class Difference(NamedTuple):
    """The hunks, and the lines they remove and add."""

    hunks: list[Hunk]
    removed: list[bytes]
    added: list[bytes]

    @property
    def lines(self) -> int:
        """Removed and added lines."""
        return len(self.removed) + len(self.added)


def difference(before: bytes, after: bytes, most: int) -> Difference | None:
    """How `before` became `after`; None when more than `most` lines were removed and added."""
    if before == after:
        return Difference([], [], [])
    head = before.rfind(b"\n", 0, _same_start(before, after)) + 1
    tail = _same_end(before, after, head)
    end_a, end_b = len(before) - tail, len(after) - tail
    if tail and not (_starts_line(before, end_a) and _starts_line(after, end_b)):  # what is equal begins inside a line
        line_end = before.find(b"\n", end_a)
        step = line_end + 1 - end_a if line_end >= 0 else tail
        end_a, end_b = end_a + step, end_b + step
    a, b = _lines(before[head:end_a]), _lines(after[head:end_b])
    if abs(len(a) - len(b)) > most:
        return None
    if len(a) + len(b) > most:  # lines that only one side has, wherever they are
        in_a, in_b = Counter(a), Counter(b)
        if (in_a - in_b).total() + (in_b - in_a).total() > most:
            return None
    found: list[Hunk] = []  # in lines
    _compare(a, b, 0, len(a), 0, len(b), found)
    removed = [line for hunk in found for line in a[hunk.a0 : hunk.a1]]
    added = [line for hunk in found for line in b[hunk.b0 : hunk.b1]]
    if len(removed) + len(added) > most:
        return None
    at_a, at_b = _places(a, head), _places(b, head)
    hunks = [Hunk(at_a[one.a0], at_a[one.a1], at_b[one.b0], at_b[one.b1]) for one in _joined(found)]
    return Difference(hunks, removed, added)


def _places(lines: list[bytes], head: int) -> list[int]:
    """Where each line starts, and where the last one ends."""
    return list(accumulate(map(len, lines), initial=head))


def _lines(data: bytes) -> list[bytes]:
    """Lines with their ends: one with and one without a line end differ. Only a line feed ends a line."""
    if b"\r" not in data:
        return data.splitlines(keepends=True)
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _same_start(a: bytes, b: bytes) -> int:
    """How many bytes are equal from the start."""
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _same_end(a: bytes, b: bytes, head: int) -> int:
    """How many bytes are equal from the end, without the first `head`."""
    low, high = 0, min(len(a), len(b)) - head
    if high <= 0:
        return 0
    if a[len(a) - high :] == b[len(b) - high :]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle
    return low


def _starts_line(data: bytes, position: int) -> bool:
    return position == 0 or data[position - 1] == 10


def _joined(hunks: list[Hunk]) -> list[Hunk]:
    """Hunks that touch each other are one."""
    out: list[Hunk] = []
    for hunk in hunks:
        if out and out[-1].a1 == hunk.a0 and out[-1].b1 == hunk.b0:
            out[-1] = Hunk(out[-1].a0, hunk.a1, out[-1].b0, hunk.b1)
        else:
            out.append(hunk)
    return out


def _compare(a: list[bytes], b: list[bytes], a0: int, a1: int, b0: int, b1: int, out: list[Hunk]) -> None:
    while True:  # small changes far apart: both sides meet again a few lines on
        step = 1
        while a0 < a1 and b0 < b1 and step:
            if a[a0 : a0 + step] == b[b0 : b0 + step] and a0 + step <= a1 and b0 + step <= b1:
                a0, b0, step = a0 + step, b0 + step, step * 2
            else:
                step //= 2
        meeting = _meeting(a, b, a0, a1, b0, b1)
        if meeting is None:
            break
        out.append(Hunk(a0, meeting[0], b0, meeting[1]))
        a0, b0 = meeting
    while a0 < a1 and b0 < b1 and a[a1 - 1] == b[b1 - 1]:
        a1, b1 = a1 - 1, b1 - 1
    if a0 == a1 or b0 == b1:
        if a0 != a1 or b0 != b1:
            out.append(Hunk(a0, a1, b0, b1))
        return
    anchors = _anchors(a, b, a0, a1, b0, b1)
    if anchors:
        for x, y in anchors:
            if x == a0 and y == b0:
                a0, b0 = x + 1, y + 1
            elif x >= a0 and y >= b0:
                _compare(a, b, a0, x, b0, y, out)
                a0, b0 = x + 1, y + 1
        _compare(a, b, a0, a1, b0, b1, out)
    elif (a1 - a0) * (b1 - b0) <= _CLOSE_LOOK:
        matcher = SequenceMatcher(None, a[a0:a1], b[b0:b1], autojunk=False)
        for kind, i0, i1, j0, j1 in matcher.get_opcodes():
            if kind != "equal":
                out.append(Hunk(a0 + i0, a0 + i1, b0 + j0, b0 + j1))
    else:
        out.append(Hunk(a0, a1, b0, b1))


def _meeting(a: list[bytes], b: list[bytes], a0: int, a1: int, b0: int, b1: int) -> tuple[int, int] | None:
    """The nearest place where both sides go on with two equal lines, the first of which says something."""
    if a0 == a1 or b0 == b1:
        return None
    for distance in range(1, _NEAR):
        for i in range(max(0, distance - (b1 - b0) + 2), min(distance, a1 - a0 - 2) + 1):
            x, y = a0 + i, b0 + distance - i
            if a[x] == b[y] and a[x + 1] == b[y + 1] and len(a[x].strip()) > _SAYS_NOTHING:
                return x, y
    return None


def _anchors(a: list[bytes], b: list[bytes], a0: int, a1: int, b0: int, b1: int) -> list[tuple[int, int]]:
    """Lines that occur once on both sides, the longest run of them that is in order on both."""
    in_a, in_b = Counter(a[a0:a1]), Counter(b[b0:b1])
    where = {line: y for y, line in enumerate(b[b0:b1], b0) if in_b[line] == 1 and in_a.get(line) == 1}
    if not where:
        return []
    tops: list[int] = []
    piles: list[tuple[int, int, int]] = []  # x, y, index of the one before
    ends: list[int] = []
    for x, line in enumerate(a[a0:a1], a0):
        y = where.get(line)
        if y is None:
            continue
        at = bisect_left(tops, y)
        piles.append((x, y, ends[at - 1] if at else -1))
        if at == len(tops):
            tops.append(y)
            ends.append(len(piles) - 1)
        else:
            tops[at] = y
            ends[at] = len(piles) - 1
    found = []
    at = ends[-1]
    while at >= 0:
        x, y, at = piles[at]
        found.append((x, y))
    return found[::-1]
