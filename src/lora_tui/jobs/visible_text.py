"""Text with nothing hidden: what a terminal would obey, join or leave out is named instead. And broken into lines."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

TAB = "⇥   "
NEWLINE = "↵"

_NAMED = {
    **{number: chr(0x2400 + number) for number in range(0x20)},  # Unicode's pictures of control codes
    0x7F: "␡",
    0x09: TAB,
    0xA0: "⍽",
    0x200B: "‹ZWSP›",
    0x200D: "‹ZWJ›",
    0xFEFF: "‹BOM›",
}
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_JOINING = ("Mn", "Me", "Mc")


def visible(text: str) -> str:
    """The text as it can be shown; line breaks stay."""
    if text.isascii() and text.isprintable():
        return text
    shown = []
    for place, character in enumerate(text):
        code = ord(character)
        if character == "\n" or 0x20 <= code < 0x7F:
            shown.append(character)
            continue
        kind = unicodedata.category(character)
        if code in _NAMED:
            shown.append(_NAMED[code])
        elif kind in _HIDDEN or 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:  # variation selectors
            shown.append(f"‹U+{code:04X}›")
        elif kind in _JOINING and (place == 0 or text[place - 1] == "\n"):
            shown.append("◌" + character)  # it would join what stands before it
        else:
            shown.append(character)
    return "".join(shown)


def visible_line(text: str) -> str:
    """The same on one line."""
    return visible(text).replace("\n", NEWLINE)


def wrapped(text: str, width: int) -> Iterator[str]:
    """A sentence as lines of at most `width` cells, broken between words where that is possible."""
    line = ""
    for word in text.split(" "):
        if line and cell_len(f"{line} {word}") > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
        if cell_len(line) > width:
            *full, line = chop_cells(line, max(4, width))
            yield from full
    if line:
        yield line
