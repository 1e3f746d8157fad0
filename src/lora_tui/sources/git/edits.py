"""A changed file as search-and-replace edits on what the reader was shown: whole regions, each found exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lora_tui.sources.git.diff import Hunk
from lora_tui.sources.git.enclosing import Trees

_CONTEXT = 3  # lines around a change in a file that is shown whole
_WIDE = 20  # lines around a change that no function encloses, in a file that is not


class Piece(NamedTuple):
    """`old` stands once in the file before (from line `first`, 0-based) and becomes `new`."""

    first: int
    lines: int
    old: str
    new: str


class Edited(NamedTuple):
    """The edits of one file; `whole`: the reader sees all of it, else only the pieces."""

    whole: bool
    pieces: list[Piece]

    def length(self, before: str, after: str) -> int:
        """Characters shown before and written after."""
        if self.whole:
            return len(before) + len(after)
        return sum(len(piece.old) + len(piece.new) for piece in self.pieces)


def whole_file(before: str, after: str, hunks: Sequence[Hunk]) -> Edited:
    """The edits of a file that is shown whole: a few lines around each change."""
    wanted = [(hunk.a0 - _CONTEXT, hunk.a1 + _CONTEXT) for hunk in hunks]
    return Edited(True, _pieces(before, after, hunks, wanted))


def cut(
    trees: Trees, path: str, language: str, before: bytes, after: bytes, hunks: Sequence[Hunk], most: int
) -> Edited:
    """The edits of a file that is too long to show: the definitions around the changes, of at most `most` bytes each.

    Where no definition or statement so small encloses a change, the lines around it.
    """
    wanted = []
    for hunk in hunks:
        around = trees.around(path, language, before, hunk.a0, hunk.a1, most)
        wanted.append(around or (hunk.a0 - _WIDE, hunk.a1 + _WIDE))
    return Edited(False, _pieces(before.decode(), after.decode(), hunks, wanted))


def _pieces(before: str, after: str, hunks: Sequence[Hunk], wanted: Sequence[tuple[int, int]]) -> list[Piece]:
    """The wanted line ranges as pieces, each made larger until it is found exactly once; those that meet are one."""
    old, new = _lines(before), _lines(after)
    total = len(old)
    ranges = [(max(first, 0), min(last, total)) for first, last in wanted]
    grow = _CONTEXT
    while True:
        ranges = _merged(ranges)
        pieces = [_piece(old, new, hunks, first, last) for first, last in ranges]
        unfit = _unfit(before, pieces)
        if not unfit:
            return pieces
        ranges = [
            (max(first - grow, 0), min(last + grow, total)) if index in unfit else (first, last)
            for index, (first, last) in enumerate(ranges)
        ]
        grow *= 2


def _unfit(before: str, pieces: Sequence[Piece]) -> set[int]:
    """Which pieces cannot be found exactly once, when the edits are made one after the other."""
    text = before
    found = set()
    for index, piece in enumerate(pieces):
        if len(pieces) == 1 and piece.old == before:
            return set()
        if before.count(piece.old) != 1 or text.count(piece.old) != 1:
            found.add(index)
        else:
            text = text.replace(piece.old, piece.new, 1)
    return found


def _piece(old: list[str], new: list[str], hunks: Sequence[Hunk], first: int, last: int) -> Piece:
    """Lines first … last - 1 before, and what they became: between hunks both sides run in step."""
    offset_first = offset_last = 0
    for hunk in hunks:
        shift = (hunk.b1 - hunk.b0) - (hunk.a1 - hunk.a0)
        if hunk.a0 < first:
            offset_first += shift
        if hunk.a0 <= last:  # an insertion behind the last line is this piece's: pieces that touch are one
            offset_last += shift
    return Piece(first, last - first, "".join(old[first:last]), "".join(new[first + offset_first : last + offset_last]))


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges in order; those that overlap or touch are one."""
    out: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if out and first <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return out


def _lines(text: str) -> list[str]:
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]
