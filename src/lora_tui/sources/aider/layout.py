"""The text of one chat, taken apart into what was asked, said and noted.

Aider marks its own lines with "> " and the user's with "#### ", and ends both with two spaces; all else is the model's
answer. An answer may hold such lines too (it quotes, it edits markdown): within a code block, or without the two
spaces, they are the model's. Only the first line of a longer note is marked; it ends at the first line with two spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Kind = Literal["asked", "said", "noted"]

_ASKED, _NOTED, _END = "#### ", "> ", "  "
_CERTAIN = re.compile(r"> (?:Tokens: [\d.,]+[kM]? sent|Applied edit to |Commit [0-9a-f]{7,40} |\^C )")
_ANSWERED = re.compile(r"> Tokens: ")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_SEARCH = re.compile(r"<{5,9} SEARCH\b")
_REPLACE = re.compile(r">{5,9} REPLACE\b")
_LONGEST_NOTE = 2_000  # lines


class Piece(NamedTuple):
    """One or more lines of one kind, without their marks."""

    kind: Kind
    text: str


def pieces(text: str) -> Iterator[Piece]:
    """The pieces of one chat, in order; each note is a piece, lines of one request or answer are one together."""
    reader = _Reader(text.split("\n"))
    kind: Kind | None = None
    collected: list[str] = []
    for line in reader.read():
        if kind is not None and (line.kind != kind or kind == "noted"):
            yield from _piece(kind, collected)
            collected = []
        kind = line.kind
        collected.append(line.text)
    if kind is not None:
        yield from _piece(kind, collected)


def _piece(kind: Kind, lines: list[str]) -> Iterator[Piece]:
    text = "\n".join(lines)
    if kind == "said":
        text = text.strip("\n")
    if text.strip():
        yield Piece(kind, text)


class _Reader:
    """Goes through the lines and knows where it is: in an answer or not, in a code block or not."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._answering = False
        self._spoken = False  # the model said something since the request
        self._fence = ""
        self._editing = False  # between SEARCH and REPLACE

    def read(self) -> Iterator[Piece]:
        """Every line with its kind; the lines of a note together."""
        position = 0
        while position < len(self._lines):
            line = self._lines[position]
            marked = line.endswith(_END)
            quoted = bool(self._fence or self._editing) and not (marked and _CERTAIN.match(line))
            if not quoted and line.startswith(_ASKED) and (marked or not self._answering):
                self._begin()
                yield Piece("asked", line[len(_ASKED) :].removesuffix(_END))
            elif not quoted and line.startswith(_NOTED) and (marked or not (self._answering and self._spoken)):
                length = self._length(position)
                note = "\n".join(self._lines[position : position + length])
                yield Piece("noted", note[len(_NOTED) :].rstrip())
                self._fence, self._editing = "", False
                self._answering = self._answering and not _ANSWERED.match(line)
                position += length - 1
            else:
                self._hear(line)
                yield Piece("said", line)
            position += 1

    def _begin(self) -> None:
        self._answering, self._spoken = True, False
        self._fence, self._editing = "", False

    def _length(self, position: int) -> int:
        """How many lines a note has."""
        for length, line in enumerate(self._lines[position : position + _LONGEST_NOTE], 1):
            if length > 1 and line.startswith((_ASKED, _NOTED)):
                return 1
            if line.endswith(_END):
                return length
        return 1

    def _hear(self, line: str) -> None:
        self._spoken = self._spoken or bool(line.strip())
        fence = _FENCE.match(line)
        if self._editing:
            self._editing = not _REPLACE.match(line)
        elif _SEARCH.match(line):
            self._editing = True
        elif self._fence:
            if line.strip() == self._fence:
                self._fence = ""
        elif fence:
            self._fence = fence[1]
