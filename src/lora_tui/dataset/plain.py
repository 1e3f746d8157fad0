"""The plain shape: what was asked with the files as they were, and the net edit as the answer.

It holds no tool calls, so any chat model can learn it, and it is short: of an agent's conversation only the request,
the files that mattered and what came of it remain.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from lora_tui.curation.actions import action
from lora_tui.curation.outcome import failed
from lora_tui.curation.tool_names import kind
from lora_tui.dataset import forms
from lora_tui.dataset.blocks import blocks
from lora_tui.dataset.model import RowMessage
from lora_tui.dataset.read_output import Shown, bare, shown
from lora_tui.dataset.replay import Change, Files, Part
from lora_tui.dataset.shell_reads import file_read_by
from lora_tui.dataset.steps import arguments, steps
from lora_tui.dataset.unfit import NoCounterpart, NotReplayable
from lora_tui.sources.model import Message, ToolCall, own_words, text_of, texts
from lora_tui.workspace.profiles import Form

ROOM = 12_000  # characters of files that were only read
LONGEST = 8_000  # characters of an edited file; of a longer one the surroundings of the changes are shown
_AROUND = 20  # lines
_ELSEWHERE = ("/dev/", "/tmp/", "$", "~")  # what a command writes there is no part of the project
_BARE = ("git", "augment")  # their reads show the file's own bytes
_SHORT_TURN_WORDS = 3  # "continue": says nothing without the conversation

_ATTACHED = "Called the Read tool with the following input: "  # opencode's word for a file the user attached


def plain(messages: Sequence[Message], source: str, directory: str, form: Form) -> list[RowMessage]:
    """The example as a request and an answer; a chat without files and tools stays as it is.

    Messages of earlier requests (about.context) only say what the files were like. Raises NotReplayable.
    """
    own = [message for message in messages if not message.about.context]
    if source != "aider" and not any(message.tool_calls or _attachments(message) for message in own):
        return [
            RowMessage(message.role, text_of(message), weight=_weight(message) if message.role == "assistant" else 1)
            for message in own
            if message.role != "tool"
        ]
    player = _Player(source, directory)
    player.look_back([message for message in messages if message.about.context])
    player.play(own)
    changes = player.files.changes()
    edited = [_narrow(change) for change in reversed(changes) if change.edited]
    if player.edits and not edited:
        raise NotReplayable("its edits cancel each other out")
    answer = forms.rendered(edited, form) if edited else _last_words(own)
    request = [_request(own), *(forms.shown(change) for change in edited)]
    room = ROOM
    for change in changes:
        text = forms.shown(change)
        if not change.edited and len(text) <= room:
            room -= len(text)
            request.append(text)
    learned = [_weight(message) for message in own if message.role == "assistant"]
    weight = max(learned, default=0) if edited else learned[-1]
    return [
        RowMessage("user", "\n\n".join(text for text in request if text)),
        RowMessage("assistant", answer, weight=weight),
    ]


class _Player:
    """Plays a conversation's calls on its files."""

    def __init__(self, source: str, directory: str) -> None:
        self.files = Files(directory)
        self.edits = 0
        self._source = source
        self._directory = directory

    def look_back(self, earlier: Sequence[Message]) -> None:
        """What earlier requests showed and did; nothing of it when it cannot be replayed."""
        try:
            self.play(earlier)
            self.files.settle()
        except NotReplayable:
            self.files = Files(self._directory)
        self.edits = 0

    def play(self, messages: Sequence[Message]) -> None:
        """Every call that succeeded, in order. Raises NotReplayable."""
        outputs = {message.tool_call_id: message for message in messages if message.role == "tool"}
        for message in messages:
            for path, output in _attachments(message):
                self._see(path, shown(output))
            if message.role != "assistant":
                continue
            if self._source == "aider":
                self._blocks(text_of(message))
            for call in message.tool_calls:
                answer = outputs.get(call.id)
                if answer is not None and not _nothing_came_of(call, answer):
                    self._call(call, text_of(answer))

    def _call(self, call: ToolCall, output: str) -> None:
        try:
            taken = steps(call)
        except NoCounterpart as error:
            if kind(call.function.name) == "edit":
                raise NotReplayable(error.reason, error.about) from error
            return
        for step in taken:
            given = arguments(step)
            path = str(given.get("filePath", ""))
            match step.function.name:
                case "read":
                    self._see(path, self._read(given, output))
                case "write":
                    self.edits += 1
                    self.files.write(path, str(given.get("content", "")))
                case "edit":
                    self._edit(path, given)
                case "bash":
                    self._command(step, str(given.get("command", "")), output)

    def _command(self, call: ToolCall, command: str, output: str) -> None:
        """A file that a command printed was read. One that it wrote is an edit that cannot be told."""
        for written in action(call).written:
            if not written.path.startswith(_ELSEWHERE) and not written.path.endswith(".log"):
                raise NotReplayable("a command wrote a file", written.path)
        if (read := file_read_by(command, output)) is not None:
            self._see(read.path, read.seen)

    def _read(self, given: dict[str, Any], output: str) -> Shown | None:
        offset = given.get("offset")
        start = offset if isinstance(offset, int) and offset > 0 else 1
        part = bool(offset or given.get("limit"))
        read = bare if self._source in _BARE else shown
        return read(output, start=start, part=part)

    def _see(self, path: str, seen: Shown | None) -> None:
        if seen is not None:
            self.files.read(path, seen)

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


def _attachments(message: Message) -> list[tuple[str, str]]:
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


def _request(messages: Sequence[Message]) -> str:
    """The user's own words, without turns that only say to go on."""
    turns = [own_words(message).strip() for message in messages if message.role == "user"]
    said = [turn for turn in turns if turn]
    return "\n\n".join(said[:1] + [turn for turn in said[1:] if len(turn.split()) > _SHORT_TURN_WORDS])


def _last_words(messages: Sequence[Message]) -> str:
    last = next((message for message in reversed(messages) if message.role in ("assistant", "tool")), None)
    if last is None or last.role == "tool" or last.tool_calls or not text_of(last).strip():
        raise NotReplayable("it ends without an answer in words, and without an edit")
    return text_of(last)


def _weight(message: Message) -> int:
    """1 unless a person, or a rule, took the message out of what is learned."""
    return 1 if message.about.weight is None else message.about.weight


def _narrow(change: Change) -> Change:
    """Of a long file the surroundings of what changes."""
    parts: list[Part] = []
    for part in change.parts:
        if len(part.before) <= LONGEST:
            parts.append(part)
            continue
        before, after = part.before.split("\n")[:-1], part.after.split("\n")[:-1]
        for group in difflib.SequenceMatcher(None, before, after).get_grouped_opcodes(_AROUND):
            (_, i1, _, j1, _), (_, _, i2, _, j2) = group[0], group[-1]
            parts.append(Part(_joined(before[i1:i2]), _joined(after[j1:j2])))
    return Change(change.path, tuple(parts), change.created)


def _joined(lines: Sequence[str]) -> str:
    return "".join(line + "\n" for line in lines)
