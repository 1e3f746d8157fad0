"""What a conversation did to each file: the reads and edits played again, from what was seen to what came of it.

A file read whole is known whole. Of others the parts that were read or replaced are known; each is a text by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from lora_tui.dataset.read_output import Shown
from lora_tui.dataset.unfit import NotReplayable


class Part(msgspec.Struct, frozen=True):
    """A stretch of a file before and after; both end with a line's end, or are empty."""

    before: str
    after: str


class Change(msgspec.Struct, frozen=True):
    """What is known of a file, and what was done to it."""

    path: str  # relative, with slashes
    parts: tuple[Part, ...]
    created: bool = False

    @property
    def edited(self) -> bool:
        """Whether anything is different afterwards."""
        return any(part.before != part.after for part in self.parts)


class _File:
    """One file while its conversation is played."""

    def __init__(self) -> None:
        self.whole = self.created = self.touched = False
        self.lines: dict[int, str] = {}  # what was read before the first edit
        self.parts: list[list[str]] = []  # [before, after], from the first edit on

    def begin(self) -> None:
        if not self.touched:
            self.touched = True
            self.parts = [[text, text] for text in _runs(self.lines)]


class Files:
    """The files of one conversation. Give it the calls that succeeded, in order."""

    def __init__(self, directory: str) -> None:
        self._directory = directory.replace("\\", "/").rstrip("/")
        self._files: dict[str, _File] = {}

    def read(self, path: str, seen: Shown) -> None:
        """Lines of a file were shown. Once it is edited, what is known of it comes from the edits."""
        file = self._file(path)
        if file.touched or (file.whole and not seen.whole):
            return
        if seen.whole:
            file.lines.clear()
            file.whole = True
        file.lines.update(enumerate(_lines(seen.text), start=seen.start))

    def replace(self, path: str, old: str, new: str, *, everywhere: bool = False) -> None:
        """A text was replaced, which stood there once (or: wherever it stood). Raises NotReplayable."""
        name, file = self.name(path), self._file(path)
        file.begin()
        found = sum(after.count(old) for _, after in file.parts)
        if everywhere and not file.whole:
            raise NotReplayable("replaces everywhere in a file that was not read whole", name)
        if found == 1 or (found and everywhere):
            for part in file.parts:
                part[1] = part[1].replace(old, new)
        elif found:
            raise NotReplayable("an edit fits in several places", name)
        elif file.whole:
            raise NotReplayable("an edit does not fit what was read", name)
        else:
            file.parts.append([old, new])

    def insert(self, path: str, text: str) -> None:
        """Lines were added at the end. Raises NotReplayable."""
        file = self._file(path)
        file.begin()
        if not file.whole:
            raise NotReplayable("adds lines to a file that was not read whole", self.name(path))
        file.parts = file.parts or [["", ""]]
        file.parts[-1][1] = ended(file.parts[-1][1]) + text

    def write(self, path: str, content: str) -> None:
        """The whole content was given. Raises NotReplayable."""
        file = self._file(path)
        if not file.touched and not file.lines and not file.whole:
            file.whole = file.created = True
        file.begin()
        if not file.whole:
            raise NotReplayable("a file was overwritten without having been read whole", self.name(path))
        file.parts = [[file.parts[0][0] if file.parts else "", content]]

    def settle(self) -> None:
        """What was done so far is how things stood before: the request begins here."""
        for file in self._files.values():
            if file.touched:
                file.parts = [[after, after] for _, after in file.parts]
                file.created = False

    def changes(self) -> list[Change]:
        """Every file that is known, the one touched last first."""
        found = []
        for name, file in reversed(self._files.items()):
            parts = file.parts if file.touched else [[text, text] for text in _runs(file.lines)]
            known = tuple(Part(ended(before), ended(after)) for before, after in parts if before or after)
            if known:
                found.append(Change(name, known, file.created))
        return found

    def _file(self, path: str) -> _File:
        name = self.name(path)
        file = self._files.pop(name, None) or _File()
        self._files[name] = file  # the one touched last stands last
        return file

    def name(self, path: str) -> str:
        """The path as a person of the project would write it."""
        plain = path.replace("\\", "/")
        if self._directory and plain.startswith(self._directory + "/"):
            plain = plain[len(self._directory) + 1 :]
        plain = re.sub(r"\A[A-Za-z]:", "", plain)
        parts: list[str] = []
        for part in plain.split("/"):
            if part == ".." and parts:
                parts.pop()
            elif part not in ("", ".", ".."):
                parts.append(part)
        if not parts or "\n" in plain:
            raise NotReplayable("an edit names no file")
        return "/".join(parts)


def ended(text: str) -> str:
    """The text with an end to its last line: blocks and diffs are made of whole lines."""
    return text + "\n" if text and not text.endswith("\n") else text


def _lines(text: str) -> list[str]:
    """Lines with their ends. Only line feeds end a line: str.splitlines would split at form feeds too."""
    lines = [line + "\n" for line in text.split("\n")]
    if lines[-1] == "\n":
        lines.pop()
    return lines


def _runs(lines: Mapping[int, str]) -> list[str]:
    """Numbered lines as texts, a new one where numbers are missing."""
    runs: list[list[str]] = []
    last = 0
    for number in sorted(lines):
        if not runs or number != last + 1:
            runs.append([])
        runs[-1].append(lines[number])
        last = number
    return ["".join(run) for run in runs]
