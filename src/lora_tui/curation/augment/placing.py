"""Where a definition goes: its file as it was without it, as far as it is shown, and the edit that puts it in."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.curation.augment.candidate import Placed, Shown, Written
from lora_tui.curation.augment.table import table
from lora_tui.sources.code.definitions import Definition

_LITTLE = 12  # lines beside the definition in a file that is written as a whole


class NoPlace(Exception):
    """A definition cannot be taken out of its file: it shares a line with other code, or nothing can hold the edit."""


class Place:
    """A definition's file without the definition."""

    def __init__(self, path: str, code: bytes, definition: Definition) -> None:
        lines = code.decode().split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        self.path = path
        self._whole = code.decode()
        self._first, self._last = definition.doc_line, definition.last_line
        head = code[code.rfind(b"\n", 0, definition.doc_start) + 1 : definition.doc_start]
        line_end = code.find(b"\n", definition.end)
        tail = code[definition.end : line_end if line_end >= 0 else len(code)]
        if head.strip() or tail.strip(b" \t;,"):
            raise NoPlace
        if self._first > 1 and not lines[self._first - 2].strip() and self._last < len(lines) and not lines[self._last]:
            self._last += 1  # of the empty lines on both sides one goes with it
        self.taken = lines[self._first - 1 : self._last]
        self._lines = lines[: self._first - 1] + lines[self._last :]
        self._gap = self._first - 1  # index in _lines before which the definition goes

    @property
    def is_nearly_all(self) -> bool:
        """Whether its file holds little else: imports, a comment at the top."""
        return sum(bool(line.strip()) for line in self._lines) <= _LITTLE

    def alone(self) -> Placed:
        """Its whole file, written new, with nothing shown."""
        return Placed((), (Written(self.path, self._whole),))

    def within(
        self,
        header: Definition | None,
        beside: Sequence[Definition],
        needed: Sequence[Definition],
        more: Sequence[Shown],
    ) -> Placed:
        """The definition put into what is shown: the lines around its place, the head of its type, what it needs.

        `beside` are the definitions before and after it: they are not cut in the middle where they are short.
        Raises NoPlace when nothing around it holds the edit.
        """
        limits = table().limits
        if sum(len(line) + 1 for line in self._lines) <= limits.context_characters:
            parts = [(0, len(self._lines))]
            shown = [Shown(self.path, self._text(0, len(self._lines)))]
        else:
            wanted = [self._window(beside)]
            if header is not None:
                at = self._index(header.first_line)
                wanted.append((at, at + 1))
            wanted += [(self._index(one.doc_line), self._index(one.last_line) + 1) for one in needed]
            parts = _merged(wanted)
            shown = [Shown(self.path, self._text(*part), part[0] + 1) for part in parts]
        if not self._lines:
            return self.alone()
        return Placed((*more, *shown), (self._edit(parts, [one.text for one in shown]),))

    def _window(self, beside: Sequence[Definition]) -> tuple[int, int]:
        """The lines around the place: up to where the definition before it begins, and the one after it ends."""
        window = table().limits.window
        first, last = self._gap - window, self._gap + window // 2
        for one in beside:
            begins, ends = self._index(one.doc_line), self._index(one.last_line) + 1
            if ends <= self._gap and 0 < self._gap - begins <= 2 * window:
                first = begins
            elif begins >= self._gap and 0 < ends - self._gap <= 2 * window:
                last = ends
        return max(0, first), min(len(self._lines), last)

    def _index(self, line: int) -> int:
        """Where a line of the file (from 1) is in the text without the definition."""
        gone = self._last - self._first + 1
        return line - 1 - (gone if line > self._last else 0)

    def _text(self, first: int, last: int) -> str:
        return "".join(line + "\n" for line in self._lines[first:last])

    def _edit(self, parts: Sequence[tuple[int, int]], shown: Sequence[str]) -> Written:
        """The edit, hung on as few lines above the gap as are unique in what is shown; else on lines below it."""
        first, last = next(part for part in parts if part[0] <= self._gap <= part[1])
        code = "".join(line + "\n" for line in self.taken)
        everything = "\n".join(shown)
        for start in range(self._gap - 1, first - 1, -1):
            anchor = self._text(start, self._gap)
            if anchor.strip() and _once(anchor, everything):
                return Written(self.path, anchor + code, anchor)
        for end in range(self._gap + 1, last + 1):
            anchor = self._text(self._gap, end)
            if anchor.strip() and _once(anchor, everything):
                return Written(self.path, code + anchor, anchor)
        raise NoPlace


def _once(piece: str, text: str) -> bool:
    """Whether a piece occurs once; str.count would overlook two that overlap."""
    return text.find(piece, text.find(piece) + 1) < 0


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges in order, those that touch made one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
