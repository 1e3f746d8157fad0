"""A text as somebody reads it: without colour codes, JSON escapes and URL encoding, and where each part of it stood."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

_CODED = re.compile(r"""\x1b\[[0-9;]*[A-Za-z]|\\+u00[0-9A-Fa-f]{2}|\\+[/"nrt]|%[2-7][0-9A-Fa-f]""")
_URL_CODED = re.compile(r"%(?:3[ADad]|2[2BFbf]|40)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class _Edit(NamedTuple):
    """original[start:end] became `shown` characters (0 or 1) of the decoded text."""

    start: int
    end: int
    shown: int


class Decoded(NamedTuple):
    """The decoded text; `start` and `end` say where a piece of it stands in the original."""

    text: str
    places: list[int]  # where each edit stands in the decoded text
    edits: list[_Edit]

    def start(self, at: int) -> int:
        """The original position of a beginning."""
        index = bisect_right(self.places, at) - 1
        if index < 0:
            return at
        edit, place = self.edits[index], self.places[index]
        return edit.start if edit.shown and at == place else edit.end + at - place - edit.shown

    def end(self, at: int) -> int:
        """The original position after an end (`at` is exclusive)."""
        last = at - 1
        index = bisect_right(self.places, last) - 1
        if index < 0:
            return at
        edit, place = self.edits[index], self.places[index]
        return edit.end if edit.shown and last == place else edit.end + last - place - edit.shown + 1


def decoded(text: str) -> Decoded | None:
    """The text without what hides its words; None when nothing hides any."""
    if not _hides(text):
        return None
    pieces: list[str] = []
    places: list[int] = []
    edits: list[_Edit] = []
    before = length = 0
    for found in _CODED.finditer(text):
        start, end = found.span()
        sign = _meant(found.group())
        pieces += (text[before:start], sign)
        length += start - before
        places.append(length)
        edits.append(_Edit(start, end, len(sign)))
        length += len(sign)
        before = end
    if not edits:
        return None
    pieces.append(text[before:])
    return Decoded("".join(pieces), places, edits)


def _hides(text: str) -> bool:
    """Whether it is worth decoding: colours, escapes of signs, URL encoding, or JSON with escapes."""
    if "\\" in text and ("\\u00" in text or "\\/" in text or text[:1] in ("{", "[", '"')):
        return True
    return "\x1b[" in text or ("%" in text and _URL_CODED.search(text) is not None)


def _meant(code: str) -> str:
    if code[0] == "\x1b":
        return ""
    if code[0] == "%":
        return chr(int(code[1:], 16))
    if "u" in code:
        return chr(int(code[-2:], 16))
    return _ESCAPES.get(code[-1], code[-1])
