"""Tokens written into lines of a width, with marks for what is learned that need no colour."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

from lora_tui.jobs.token_view import Piece
from lora_tui.jobs.visible_text import NEWLINE, visible, visible_line

GUTTER, NO_GUTTER = "▌ ", "  "
OPEN, CLOSE = "⟦", "⟧"
_WHOLE = 24  # cells of a token that is rather written whole into the next line

_BRACKETS = (("<|", "|>"), ("<｜", "｜>"), ("<", ">"), ("[", "]"))


def special(piece: Piece) -> tuple[str, str]:
    """A special token's name in ‹›, without the brackets that models write round it; and the text beside the name."""
    if not piece.name:
        return ("", piece.text) if piece.ids else ("‹no token›", piece.text)
    name = piece.name
    for left, right in _BRACKETS:
        if len(name) > len(left + right) and name.startswith(left) and name.endswith(right):
            name = name[len(left) : -len(right)]
            break
    return f"‹{visible_line(name)}›", piece.text.replace(piece.name, "", 1)


class TokenWriter:
    """Takes a part's pieces one by one; yields each line when it is full. `width` cells with the gutter."""

    def __init__(self, width: int) -> None:
        self._room = width - len(GUTTER) - 1  # there is always a cell for the bracket that closes
        self._line: list[tuple[str, str]] = []
        self._used = 0
        self._learning = False  # inside the brackets
        self._learned = False  # something of this line stands inside them

    def write(self, piece: Piece, *, odd: bool, last: bool) -> Iterator[list[tuple[str, str]]]:
        """Add a token. `odd`: every second one; `last`: the next one is not learned."""
        if piece.loss and not self._learning:
            if self._used + 2 > self._room:
                yield self._flush()
            self._learning = True
            self._put(OPEN, "trained")
        name, text = special(piece)
        if name:
            tone = "special-trained" if piece.loss else "special" if piece.ids else "bad"
            yield from self._add(name, tone)
        tone = ("trained" if piece.loss else "context" if piece.ids else "bad") + ("-next" if odd and piece.ids else "")
        *lines, rest = text.split("\n")
        if rest or not lines:
            last_line, lines = rest, lines
        else:
            last_line, lines = lines[-1] + "\n", lines[:-1]
        for line in lines:
            yield from self._add(visible(line) + NEWLINE, tone)
            yield self._flush()
        yield from self._add(visible(last_line).replace("\n", NEWLINE), tone)
        if last and self._learning:
            self._put(CLOSE, "trained")
            self._learning = False
        if last_line.endswith("\n"):
            yield self._flush()

    def rest(self) -> Iterator[list[tuple[str, str]]]:
        """What is left, as a line."""
        if self._line:
            yield self._flush()

    def _add(self, text: str, tone: str) -> Iterator[list[tuple[str, str]]]:
        cells = cell_len(text)
        if self._used and self._room - self._used < cells <= min(_WHOLE, self._room):
            yield self._flush()
        while text:
            if self._used + cell_len(text) <= self._room:
                self._put(text, tone)
                return
            head = chop_cells(text, max(2, self._room - self._used))[0]
            if self._used and self._used + cell_len(head) > self._room:
                head = ""
            if head:
                self._put(head, tone)
            text = text[len(head) :]
            yield self._flush()

    def _put(self, text: str, tone: str) -> None:
        self._line.append((text, tone))
        self._used += cell_len(text)
        self._learned = self._learned or self._learning

    def _flush(self) -> list[tuple[str, str]]:
        gutter = (GUTTER, "trained") if self._learned else (NO_GUTTER, "")
        line = [gutter, *self._line]
        self._line, self._used, self._learned = [], 0, False
        return line
