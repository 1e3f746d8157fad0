"""Which lines of a file are the conversation: they form a tree, and what was gone back from is still in it.

A first pass over the file keeps a few numbers per line. The conversation is the way from the last answer or request up
to the root; with it go the other blocks of the same answers and the outputs of their calls, for parallel calls are
written as branches. A parent that is not in the file (cleaned away, or damaged) is taken to be the line before.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

from msgspec import UNSET

from lora_tui.sources.claude_code.rows import Row
from lora_tui.sources.text_lines import Line

_NONE = -1
_SPOKEN = ("user", "assistant")
_OUTPUT = b'"tool_use_id":'


class Tree:
    """The lines of one file: add each, then ask for the conversation and for those of its sidechains."""

    def __init__(self, own_file: bool) -> None:
        """own_file: a subagent's file, in which every line is a sidechain."""
        self._own_file = own_file
        self._index: dict[int, int] = {}  # hash of uuid -> position; 2^64 uuids are not read
        self._last: dict[str, int] = {}  # track -> position of its last line
        self.offsets = array("q")
        self._parents = array("q")
        self._roots = array("q")
        self._answers = array("q")  # hash of the API message's id; 0: not an assistant's line
        self._kinds = bytearray()  # 1 spoken, 2 output of a tool, 4 of a sidechain
        self.sidechains: dict[int, str] = {}  # position of the root -> native id

    def add(self, line: Line, row: Row) -> int:
        """Take a line in; its position, -1 when it is none of the tree."""
        spoken = row.type in _SPOKEN and row.message is not None
        if row.uuid is None and not spoken:
            return _NONE
        here = len(self.offsets)
        aside = row.isSidechain and not self._own_file
        track = (row.agentId or "side") if aside else ""
        parent = self._parent(row, track)
        if aside and (parent == _NONE or not self._kinds[parent] & 4):
            parent = _NONE
            self.sidechains[here] = f"agent-{row.agentId}" if row.agentId else row.uuid or f"side-{line.number}"
        self.offsets.append(line.offset)
        self._parents.append(parent)
        self._roots.append(here if parent == _NONE else self._roots[parent])
        message = row.message
        is_answer = row.type == "assistant" and message is not None and bool(message.id)
        self._answers.append(hash(message.id) or 1 if is_answer and message is not None else 0)
        is_output = row.type == "user" and message is not None and _OUTPUT in bytes(message.content)
        self._kinds.append((1 if spoken else 0) | (2 if is_output else 0) | (4 if aside else 0))
        if row.uuid is not None:
            self._index[hash(row.uuid)] = here
        self._last[track] = here
        return here

    def aside(self, position: int) -> int:
        """The root of the sidechain this line belongs to, -1 for the main conversation."""
        return self._roots[position] if self._kinds[position] & 4 else _NONE

    def knows(self, uuid: str) -> bool:
        """Whether a line with this uuid was added."""
        return hash(uuid) in self._index

    def main(self) -> list[int]:
        """Offsets of the conversation's lines, in the order of the file; empty when nobody spoke."""
        return self._lines(self._leaf(lambda position: not self._kinds[position] & 4))

    def sidechain(self, root: int) -> list[int]:
        """The same for a subagent whose lines lie in this file."""
        return self._lines(self._leaf(lambda position: self._roots[position] == root))

    def _parent(self, row: Row, track: str) -> int:
        before = self._last.get(track, _NONE)
        if row.parentUuid is UNSET or row.uuid is None:
            return before
        above = row.parentUuid or row.logicalParentUuid
        if above is not None:
            return self._index.get(hash(above), before)
        return before if row.subtype == "compact_boundary" or row.isCompactSummary else _NONE

    def _leaf(self, belongs: Callable[[int], bool]) -> int:
        for position in range(len(self.offsets) - 1, -1, -1):
            if self._kinds[position] & 1 and belongs(position):
                return position
        return _NONE

    def _lines(self, leaf: int) -> list[int]:
        kept = bytearray(len(self.offsets))
        for position in self._up(leaf):
            kept[position] = 1
        answers = {self._answers[position] for position in self._kept(kept)} - {0}
        for position, answer in enumerate(self._answers):
            if answer in answers:
                kept[position] = 1
        for position, parent in enumerate(self._parents):
            if self._kinds[position] & 2 and parent != _NONE and kept[parent] and self._answers[parent]:
                kept[position] = 1
        return [self.offsets[position] for position in self._kept(kept)]

    def _up(self, leaf: int) -> Iterator[int]:
        while leaf != _NONE:
            yield leaf
            leaf = self._parents[leaf]

    @staticmethod
    def _kept(marks: bytearray) -> Iterator[int]:
        return (position for position, mark in enumerate(marks) if mark)
