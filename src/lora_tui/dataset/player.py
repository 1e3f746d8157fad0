"""A conversation's calls played again on its files: what was read, what was edited, what neither of the two shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from lora_tui.curation.actions import action
from lora_tui.curation.outcome import failed
from lora_tui.curation.tool_names import kind, known
from lora_tui.dataset.blocks import blocks
from lora_tui.dataset.read_output import Shown, bare, shown
from lora_tui.dataset.replay import Files
from lora_tui.dataset.shell_reads import file_read_by
from lora_tui.dataset.steps import arguments, steps
from lora_tui.dataset.unfit import NoCounterpart, NotReplayable
from lora_tui.sources.model import Message, ToolCall, text_of, texts

_ELSEWHERE = ("/dev/", "/tmp/", "$", "~")  # what a command writes there is no part of the project
_BARE = ("git", "augment")  # their reads show the file's own bytes
_BOOKS = ("todowrite",)  # tools that say nothing an answer could rest on

_ATTACHED = "Called the Read tool with the following input: "  # opencode's word for a file the user attached


class Player:
    """Plays a conversation's calls on its files, and notes what a row with these files alone would not show."""

    def __init__(self, source: str, directory: str) -> None:
        self.files = Files(directory)
        self.edits = 0
        self.failed = 0  # edits that came to nothing
        self.unseen: list[str] = []  # tools whose output is none of the files
        self._reads: list[str] = []
        self._searches: list[str] = []  # since a file was read: they only said where to look
        self._source = source
        self._directory = directory

    def look_back(self, earlier: Sequence[Message]) -> None:
        """What earlier requests showed and did; nothing of it when it cannot be replayed."""
        try:
            self.play(earlier)
            self.files.settle()
        except NotReplayable:
            self.files = Files(self._directory)
        self.edits = self.failed = 0
        self.unseen, self._reads, self._searches = [], [], []

    def read_now(self) -> set[str]:
        """The files that were read for this request, by the names they have in `files`."""
        return {self.files.name(path) for path in self._reads}

    def play(self, messages: Sequence[Message]) -> None:
        """Every call that succeeded, in order. Raises NotReplayable."""
        outputs = {message.tool_call_id: message for message in messages if message.role == "tool"}
        for message in messages:
            for path, output in attachments(message):
                self._see(path, shown(output))
            if message.role != "assistant":
                continue
            if self._source == "aider":
                self._blocks(text_of(message))
            for call in message.tool_calls:
                answer = outputs.get(call.id)
                if answer is not None and not _nothing_came_of(call, answer):
                    self._call(call, text_of(answer))
                elif kind(call.function.name) == "edit":
                    self.failed += 1
                elif answer is not None:
                    self._not_shown(call)
        self.unseen += self._searches

    def _call(self, call: ToolCall, output: str) -> None:
        try:
            taken = steps(call)
        except NoCounterpart as error:
            if kind(call.function.name) == "edit":
                raise NotReplayable(error.reason, error.about) from error
            self._not_shown(call)
            return
        for step in taken:
            given = arguments(step)
            path = str(given.get("filePath", ""))
            match step.function.name:
                case "read":
                    self._see(path, self._read(given, output), call)
                case "write":
                    self.edits += 1
                    self.files.write(path, str(given.get("content", "")))
                case "edit":
                    self._edit(path, given)
                case "bash":
                    self._command(step, str(given.get("command", "")), output)
                case _:
                    self._not_shown(call)

    def _command(self, call: ToolCall, command: str, output: str) -> None:
        """A file that a command printed was read. One that it wrote is an edit that cannot be told."""
        for written in action(call).written:
            if not written.path.startswith(_ELSEWHERE) and not written.path.endswith(".log"):
                raise NotReplayable("a command wrote a file", written.path)
        read = file_read_by(command, output)
        self._see(read.path if read is not None else "", read.seen if read is not None else None, call)

    def _read(self, given: dict[str, Any], output: str) -> Shown | None:
        offset = given.get("offset")
        start = offset if isinstance(offset, int) and offset > 0 else 1
        part = bool(offset or given.get("limit"))
        read = bare if self._source in _BARE else shown
        return read(output, start=start, part=part)

    def _see(self, path: str, seen: Shown | None, call: ToolCall | None = None) -> None:
        if seen is not None:
            self.files.read(path, seen)
            self._reads.append(path)
            self._searches.clear()
        elif call is not None:
            self._not_shown(call)

    def _not_shown(self, call: ToolCall) -> None:
        found = known(call.function.name)
        if found is not None and found.tool.kind == "search":
            self._searches.append(call.function.name)
        elif found is None or found.name not in _BOOKS:
            self.unseen.append(call.function.name)

    def _edit(self, path: str, given: dict[str, Any]) -> None:
        self.edits += 1
        old, new = str(given.get("oldString", "")), str(given.get("newString", ""))
        if old:
            self.files.replace(path, old, new, everywhere=bool(given.get("replaceAll")))
        else:
            self.files.write(path, new)

    def _blocks(self, text: str) -> None:
        for block in blocks(text):
            self.edits += 1
            if block.old.strip():
                self.files.replace(block.path, block.old, block.new)
            else:
                self.files.write(block.path, block.new)


def _nothing_came_of(call: ToolCall, output: Message) -> bool:
    """Whether a call went wrong. A file that was read may begin with any words, so only an edit's are looked at."""
    about = output.about
    if about.error or about.interrupted or about.exit:
        return True
    done = action(call)
    return done.kind == "edit" and failed(output, done)


def attachments(message: Message) -> list[tuple[str, str]]:
    """Files that opencode put into a user's message: a line with the path, then what the read tool gave."""
    if message.role != "user" or not message.about.synthetic:
        return []
    parts = texts(message)
    found: list[tuple[str, str]] = []
    for line, output in pairwise(parts):
        if line.startswith(_ATTACHED):
            try:
                path = json.loads(line[len(_ATTACHED) :])["filePath"]
            except (ValueError, KeyError, TypeError):
                continue
            found.append((str(path), output))
    return found
