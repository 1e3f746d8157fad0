"""The rules that need the files themselves, and the edits of a commit that passes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from lora_tui.sources.code.grammar import grammar_of, parse
from lora_tui.sources.code.quality import quality
from lora_tui.sources.git.blobs import TooLong
from lora_tui.sources.git.commit import Commit, File, Status
from lora_tui.sources.git.diff import Difference, Hunk, difference
from lora_tui.sources.git.edits import Edited, cut, whole_file
from lora_tui.sources.git.filters import Filters
from lora_tui.sources.git.headers import Candidate
from lora_tui.sources.git.log import Change

_MOST_LINES = 20_000  # a limit even without the rule `lines`
_BYTES_PER_CHARACTER = 4
_STATUS: dict[bytes, Status] = {b"A": "A", b"M": "M", b"R": "R"}

Found = Mapping[bytes, bytes | TooLong | None]


class Kept(msgspec.Struct, frozen=True):
    """A commit that passed, with the edits of each file (None: the file is new and written whole)."""

    commit: Commit
    edits: tuple[Edited | None, ...]


class Contents:
    """Asks the rules of file contents, in the table's order."""

    def __init__(self, filters: Filters, max_characters: int) -> None:
        self._on = filters.on
        self._filters = filters
        self._most = max_characters
        self._head = filters.text("generated-head")
        limits = filters.limits
        self._lines = limits["lines"]["lines"] if "lines" in self._on else _MOST_LINES
        self._size = limits["size"]

    @property
    def longest(self) -> int:
        """Bytes of the longest file that can pass."""
        return self._size["characters"] * _BYTES_PER_CHARACTER if "size" in self._on else 1_000_000

    def ask(self, candidate: Candidate, found: Found) -> Kept | str:
        """The commit with its edits, or the id of the rule that refuses it."""
        pairs: list[tuple[bytes, bytes]] = []
        for change in candidate.changes:
            before, after = (b"" if not sha.strip(b"0") else found[sha] for sha in (change.before, change.after))
            if before is None or after is None:
                return "missing"
            if isinstance(before, TooLong) or isinstance(after, TooLong):
                return "size"
            pairs.append((before, after))
        texts: list[tuple[str, str]] = []
        for before, after in pairs:
            if b"\0" in before or b"\0" in after:
                return "text"
            try:
                texts.append((before.decode(), after.decode()))
            except UnicodeDecodeError:
                return "text"
        if "size" in self._on and any(self._too_large(text) for pair in pairs for text in pair):
            return "size"
        if self._head is not None:
            top = self._filters.limits["generated-head"]["characters"]
            for pair in texts:
                for text in pair:
                    head = text[:top]
                    if self._filters.may_match("generated-head", head.lower()) and self._head.search(head):
                        return "generated-head"
        differences = self._differences(candidate, pairs)
        if isinstance(differences, str):
            return differences
        if "parses" in self._on and candidate.language in self._filters.parsed:
            allowed = self._filters.limits["parses"]["per_mille"] / 1000
            for change, (_, after) in zip(candidate.changes, pairs, strict=True):
                grammar = grammar_of(candidate.language, _path(change.path))
                if grammar and quality(parse(grammar, after).root_node).error_share > allowed:
                    return "parses"
        changed = [
            _Changed(change, *raw, *text, one.hunks)
            for change, raw, text, one in zip(candidate.changes, pairs, texts, differences, strict=True)
            if one.hunks
        ]
        edits = self._edits(candidate.language, changed)
        return edits if isinstance(edits, str) else Kept(_commit(candidate, changed), edits)

    def _too_large(self, data: bytes) -> bool:
        limits = self._size
        if len(data) > limits["characters"]:
            return True
        lines = data.count(b"\n") + 1
        return len(data) > limits["mean_line"] * lines or _has_long_line(data, limits["longest_line"])

    def _differences(self, candidate: Candidate, pairs: list[tuple[bytes, bytes]]) -> list[Difference] | str:
        """How each file changed, or the rule that refuses it."""
        left = self._lines
        out = []
        for before, after in pairs:
            found = difference(before, after, left)
            if found is None:
                return "lines"
            left -= found.lines
            out.append(found)
        if not any(found.lines for found in out):
            return "lines"
        if "whitespace" in self._on and all(_squeezed(one.removed) == _squeezed(one.added) for one in out):
            return "whitespace"
        marks = self._filters.comments[candidate.language]
        if "comments" in self._on and all(
            _says_nothing(line, marks) for one in out for line in one.removed + one.added
        ):
            return "comments"
        return out

    def _edits(self, language: str, changed: list[_Changed]) -> tuple[Edited | None, ...] | str:
        """The edits of each file: cut to what encloses the changes where a file, or all of them, are too long."""
        edits = [self._one(language, file, self._most) for file in changed]
        if _length(changed, edits) > self._most and len(changed) > 1:  # files that fit one by one
            edits = [self._one(language, file, self._most // 2) for file in changed]
        if _length(changed, edits) > self._most and "long" in self._on:
            return "long"
        return tuple(edits)

    def _one(self, language: str, file: _Changed, most: int) -> Edited | None:
        if not file.before:
            return None
        if len(file.before) + len(file.after) <= most:
            return whole_file(file.raw_before, file.raw_after, file.hunks)
        return cut(_path(file.change.path), language, file.raw_before, file.raw_after, file.hunks, most // 2)


class _Changed(NamedTuple):
    """One file of a commit whose content changed."""

    change: Change
    raw_before: bytes
    raw_after: bytes
    before: str
    after: str
    hunks: list[Hunk]


def _length(changed: list[_Changed], edits: list[Edited | None]) -> int:
    """Characters shown before and written after."""
    return sum(
        len(file.after) if edited is None else edited.length(file.before, file.after)
        for file, edited in zip(changed, edits, strict=True)
    )


def _commit(candidate: Candidate, changed: list[_Changed]) -> Commit:
    return Commit(
        sha=candidate.sha,
        author=candidate.author,
        committer=candidate.committer,
        date=candidate.date,
        subject=candidate.subject,
        body=candidate.body,
        language=candidate.language,
        files=tuple(
            File(
                path=_path(file.change.path),
                old_path=_path(file.change.old_path),
                status=_STATUS[file.change.status[:1]],
                before=file.before,
                after=file.after,
            )
            for file in changed
        ),
        needs_prompt=candidate.needs_prompt,
    )


def _path(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _has_long_line(data: bytes, most: int) -> bool:
    """Whether a line has more than `most` bytes: jumps from line end to line end, at most `most` apart."""
    position = 0
    while position + most < len(data):
        line_end = data.rfind(b"\n", position, position + most + 1)
        if line_end < 0:
            return True
        position = line_end + 1
    return False


def _squeezed(lines: list[bytes]) -> bytes:
    return b"".join(b"".join(lines).split())


def _says_nothing(line: bytes, marks: tuple[bytes, ...]) -> bool:
    text = line.strip()
    return not text or text.startswith(marks)
