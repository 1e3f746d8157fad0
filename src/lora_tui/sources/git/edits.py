"""A changed file as search-and-replace edits on what the reader was shown: whole lines, each found exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lora_tui.sources.git.diff import Hunk
from lora_tui.sources.git.enclosing import around

_CONTEXT = 3  # lines around a change in a file that is shown whole
_WIDE = 20  # lines around a change that no function encloses, in a file that is not

Span = tuple[int, int]  # bytes first … last - 1 of the file before, from line start to line start


class Piece(NamedTuple):
    """`old` stands once in the file before, from line `line` on (counted from 1), and becomes `new`."""

    line: int
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


def whole_file(before: bytes, after: bytes, hunks: Sequence[Hunk]) -> Edited:
    """The edits of a file that is shown whole: a few lines around each change."""
    return Edited(True, _pieces(before, after, hunks, [_widened(before, hunk[:2], _CONTEXT) for hunk in hunks]))


def cut(path: str, language: str, before: bytes, after: bytes, hunks: Sequence[Hunk], most: int) -> Edited:
    """The edits of a file that is too long to show: the definitions around the changes, of at most `most` bytes each.

    Where no definition so small encloses a change, the lines around it. A change at the edge of its definition, as when
    a whole one is taken out, comes with the few lines beyond the edge: else nothing says where the code stood.
    """
    wanted: list[Span] = []
    for hunk in hunks:
        if wanted and wanted[-1][0] <= hunk.a0 and hunk.a1 <= wanted[-1][1]:
            continue  # in the same function as the change before
        wanted.append(around(path, language, before, after, hunk, most) or _widened(before, hunk[:2], _WIDE))
    return Edited(False, _pieces(before, after, hunks, [_with_neighbours(before, span, hunks) for span in wanted]))


def _pieces(before: bytes, after: bytes, hunks: Sequence[Hunk], wanted: Sequence[Span]) -> list[Piece]:
    """The wanted spans, each made larger until it is found exactly once; those that meet are one."""
    spans = _merged(wanted)
    grow = _CONTEXT
    while True:
        pairs = [(before[first:last], _became(after, hunks, first, last)) for first, last in spans]
        unfit = _unfit(before, pairs)
        if not unfit:
            break
        spans = _merged([_widened(before, span, grow) if index in unfit else span for index, span in enumerate(spans)])
        grow *= 2
    return [
        Piece(before.count(b"\n", 0, first) + 1, _lines(old), old.decode(), new.decode())
        for (first, _), (old, new) in zip(spans, pairs, strict=True)
    ]


def _unfit(before: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> set[int]:
    """Which edits do not find their place exactly once, when they are made one after the other."""
    if len(pairs) == 1 and pairs[0][0] == before:
        return set()
    text = before
    found = set()
    for index, (old, new) in enumerate(pairs):
        if not _once(before, old) or (index and not _once(text, old)):
            found.add(index)
        elif index + 1 < len(pairs):
            text = text.replace(old, new, 1)
    return found


def _once(text: bytes, piece: bytes) -> bool:
    """Whether the piece is in the text at one place; places may overlap."""
    first = text.find(piece)
    return first >= 0 and text.rfind(piece) == first


def _became(after: bytes, hunks: Sequence[Hunk], first: int, last: int) -> bytes:
    """What bytes first … last - 1 before became: between the changes both sides run in step."""
    start, end = first, last
    for hunk in hunks:
        shift = (hunk.b1 - hunk.b0) - (hunk.a1 - hunk.a0)
        if hunk.a0 < first:
            start += shift
        if hunk.a0 <= last:  # an insertion at its very end is this span's: spans that touch are one
            end += shift
    return after[start:end]


def _merged(spans: Sequence[Span]) -> list[Span]:
    """Spans in order; those that overlap or touch are one."""
    out: list[Span] = []
    for first, last in sorted(spans):
        if out and first <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return out


def _with_neighbours(before: bytes, span: Span, hunks: Sequence[Hunk]) -> Span:
    """The span with a few more lines on the sides where it begins or ends with a change."""
    first, last = span
    if any(hunk.a0 == first for hunk in hunks):
        first = _up(before, first, _CONTEXT)
    if any(hunk.a1 == last for hunk in hunks):
        last = _down(before, last, _CONTEXT)
    return first, last


def _widened(data: bytes, span: Span, lines: int) -> Span:
    """The span with so many more lines on both sides."""
    return _up(data, span[0], lines), _down(data, span[1], lines)


def _up(data: bytes, first: int, lines: int) -> int:
    """Where the line starts that is so many lines above, or the file."""
    for _ in range(lines):
        if first == 0:
            break
        first = data.rfind(b"\n", 0, first - 1) + 1
    return first


def _down(data: bytes, last: int, lines: int) -> int:
    """Where the line starts that is so many lines below, or the file ends."""
    for _ in range(lines):
        end = data.find(b"\n", last)
        last = end + 1 if end >= 0 else len(data)
    return last


def _lines(text: bytes) -> int:
    return text.count(b"\n") + (not text.endswith(b"\n"))
