"""Breaking text into lines of a terminal's width, by cells."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

_LONGEST = 4_000  # characters of one source line that are shown at all
_WORDS = re.compile(r"\s*\S+\s*")


def wrap(text: str, width: int) -> Iterator[str]:
    """One line of prose as lines of at most `width` cells, broken between words, its indent kept."""
    text = _cut(text)
    width = max(4, width)
    if cell_len(text) <= width:
        yield text
        return
    indent = text[: len(text) - len(text.lstrip())][: width // 2]
    line = ""
    for word in _WORDS.findall(text):
        if cell_len((line + word).rstrip()) <= width:
            line += word
            continue
        if line.strip():
            yield line.rstrip()
        line = indent + word.lstrip()
        if cell_len(line.rstrip()) > width:
            *full, line = chop_cells(line, width)
            yield from full
    if line.strip():
        yield line.rstrip()


def chop(text: str, width: int) -> list[str]:
    """One line of code or output as lines of at most `width` cells, broken anywhere."""
    text = _cut(text)
    return chop_cells(text, max(4, width)) if cell_len(text) > width else [text]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … {len(text) - _LONGEST:,} more characters"
