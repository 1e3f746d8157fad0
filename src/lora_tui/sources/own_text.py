"""Telling what the user typed from what a program put into the same text: reminders, notices, piped-in input.

Such texts come in <tags>. The text is cut at them into parts which, put together again, are the text byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

Piece = tuple[str, bool]  # text, and whether it is the user's own


class Marks:
    """The tags whose content is not the user's own words."""

    def __init__(self, tags: Iterable[str]) -> None:
        names = "|".join(map(re.escape, tags))
        self._block = re.compile(rf"<({names})(?:\s[^<>]*)?>.*?</\1>", re.S)

    def pieces(self, text: str) -> list[Piece]:
        """The text in pieces; white space between two goes with the one before it, so no piece is blank but all."""
        found: list[Piece] = []
        end = 0
        for block in self._block.finditer(text):
            _add(found, text[end : block.start()], True)
            _add(found, block.group(0), False)
            end = block.end()
        _add(found, text[end:], True)
        return found


def _add(found: list[Piece], text: str, own: bool) -> None:
    """Join to the piece before what is blank, or what is of its kind."""
    if not text:
        return
    if found and (not text.strip() or not found[-1][0].strip() or found[-1][1] == own):
        before, before_own = found[-1]
        found[-1] = (before + text, before_own if before.strip() else own)
    else:
        found.append((text, own))
