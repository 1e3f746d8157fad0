"""An answer as lines: its words as they came, what expectations look for marked, and what another answer lacks.

Nothing hangs on colour. In the margin stands `-` or `+` where a line holds words that the answer beside it lacks, and
the number of an expectation that the line meets; the words themselves are underlined, and reversed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from lora_tui.tui.widgets.code_colours import coloured
from lora_tui.tui.widgets.conversation_lines import Line
from lora_tui.tui.widgets.wrap import chop, wrap
from lora_tui.verify.matches import Span

MARGIN = 3  # cells
_NEARLY_ALL = 0.7  # of an answer's characters: what is underlined everywhere says nothing

_FENCE = re.compile(r"^\s*(```+|~~~+)\s*([\w+#.-]*)")
_MARKED = {(True, False): "changed", (False, True): "met", (True, True): "met-changed"}


def answer_lines(
    text: str, width: int, *, changed: Sequence[Span] = (), met: Sequence[tuple[int, Span]] = (), sign: str = "+"
) -> Iterator[Line]:
    """Lines of at most `width` cells for `text`, which holds no control codes.

    `changed`: what the other answer lacks, marked with `sign`; where that is nearly all of it, in the margin alone.
    `met`: places with the number of their expectation.
    """
    whole = sum(end - start for start, end in changed) > _NEARLY_ALL * len(text)
    differs, meets = bytearray(len(text)), bytearray(len(text))
    for start, end in changed:
        differs[start:end] = b"\1" * (end - start)
    for number, (start, end) in met:
        meets[start:end] = bytes([min(number, 255)]) * (end - start)
    for start, line, tones, code in _source(text):
        cut = chop if code else wrap
        place = 0
        for piece in cut(line, width - MARGIN):
            wanted = piece.lstrip()
            found = line.find(wanted, place) if wanted else -1
            if found < 0:
                yield [(" " * MARGIN, ""), (piece, "")]
                continue
            place = found + len(wanted)
            here = slice(start + found, start + place)
            indent = piece[: len(piece) - len(wanted)]
            yield [
                (_margin(differs[here], meets[here], sign), "muted"),
                *([(indent, "")] if indent else []),
                *_pieces(wanted, tones[found:place], bytearray(len(wanted)) if whole else differs[here], meets[here]),
            ]


def _margin(differs: bytearray, meets: bytearray, sign: str) -> str:
    first = next((number for number in meets if number), 0)
    return f"{sign if any(differs) else ' '}{first % 10 if first else ' '} "


def _pieces(text: str, tones: Sequence[str], differs: bytearray, meets: bytearray) -> Iterator[tuple[str, str]]:
    cells = zip(text, tones, differs, meets, strict=True)
    for (tone, mark), some in groupby(cells, key=lambda cell: (cell[1], _MARKED.get((bool(cell[2]), bool(cell[3]))))):
        yield "".join(cell[0] for cell in some), f"{tone} {mark or ''}".strip()


def _source(text: str) -> Iterator[tuple[int, str, list[str], bool]]:
    """Each line: where it begins, the line, a tone for each of its characters, whether it is code."""
    lines = text.split("\n")
    start = index = 0
    while index < len(lines):
        line = lines[index]
        fence = _FENCE.match(line)
        yield start, line, ["muted" if fence else "heading" if line.startswith("#") else ""] * len(line), bool(fence)
        start += len(line) + 1
        index += 1
        if not fence:
            continue
        end = index
        while end < len(lines) and not lines[end].strip().startswith(fence.group(1)):
            end += 1
        block = lines[index:end]
        for code, pieces in zip(block, coloured(block, fence.group(2).lower()), strict=False):
            tones = [tone for piece, tone in pieces for _ in piece]
            yield start, code, (tones + [""] * len(code))[: len(code)], True
            start += len(code) + 1
        index = end
        if index < len(lines):
            yield start, lines[index], ["muted"] * len(lines[index]), True
            start += len(lines[index]) + 1
            index += 1
