"""What one tool call does, whichever agent made it: the kind, the command, the files, the code it writes.

Read once per call; classification, outcome, loops and weights all look at this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import msgspec

from lora_tui.curation.tool_names import Kind, command_of, known, patch_in, table
from lora_tui.sources.model import Message, ToolCall

_COMMAND_CHARACTERS = 4_000
_WRITTEN_CHARACTERS = 8_000  # of one edit: what judges code looks at less

_PATCHED = re.compile(r"^\*\*\* (?:Add File|Update File|Delete File|Move to): (.+)$", re.M)
_ADDED = re.compile(r"^\+(.*)$", re.M)
_HERE_DOCUMENT = re.compile(r"(?<!<)<<-?[ \t]*(['\"]?)([A-Za-z_]\w*)\1")

# Aider and other chat: a file's name, then a fenced block of these.
_SEARCH = re.compile(r"<{5,9} SEARCH\s*$")
_DIVIDER = re.compile(r"={5,9}\s*$")
_REPLACE = re.compile(r">{5,9} REPLACE\s*$")


class Written(NamedTuple):
    """Code that goes into a file; the path is '' where the call does not say it."""

    path: str
    text: str


class Action(NamedTuple):
    """A call in the words that curation uses."""

    tool: str  # canonical name; the agent's own in lower case where the table does not know the tool
    kind: Kind
    waits: bool
    command: str = ""
    paths: tuple[str, ...] = ()  # files read, searched or edited
    pattern: str = ""  # what a search looks for
    only: str = ""  # file type a search is limited to, by name
    written: tuple[Written, ...] = ()

    @property
    def edits(self) -> bool:
        """Whether it changes files: an edit tool, or a command that writes one."""
        return self.kind == "edit" or bool(self.written)


class _Edit(msgspec.Struct, frozen=True):
    newString: str = ""
    new_string: str = ""


class _Arguments(msgspec.Struct, frozen=True):
    """The arguments of any agent's tools that say what a call does; the rest is skipped unread."""

    command: msgspec.Raw = msgspec.Raw(b"null")
    cmd: msgspec.Raw = msgspec.Raw(b"null")
    filePath: msgspec.Raw = msgspec.Raw(b"null")
    file_path: msgspec.Raw = msgspec.Raw(b"null")
    path: msgspec.Raw = msgspec.Raw(b"null")
    notebook_path: msgspec.Raw = msgspec.Raw(b"null")
    pattern: msgspec.Raw = msgspec.Raw(b"null")
    glob: msgspec.Raw = msgspec.Raw(b"null")
    include: msgspec.Raw = msgspec.Raw(b"null")
    type: msgspec.Raw = msgspec.Raw(b"null")
    patchText: msgspec.Raw = msgspec.Raw(b"null")
    input: msgspec.Raw = msgspec.Raw(b"null")
    patch: msgspec.Raw = msgspec.Raw(b"null")
    content: msgspec.Raw = msgspec.Raw(b"null")
    newString: msgspec.Raw = msgspec.Raw(b"null")
    new_string: msgspec.Raw = msgspec.Raw(b"null")
    new_source: msgspec.Raw = msgspec.Raw(b"null")
    edits: msgspec.Raw = msgspec.Raw(b"null")


_arguments = msgspec.json.Decoder(_Arguments)
_edits = msgspec.json.Decoder(list[_Edit])


def action(call: ToolCall) -> Action:
    """What a call does. Arguments that cannot be read leave everything but the kind empty."""
    name, text = call.function.name, call.function.arguments
    found = known(name)
    tool, kind = (found.name, found.tool.kind) if found is not None else (name.lower(), "other")
    waits = found is not None and found.tool.waits
    try:
        arguments = _arguments.decode(text)
    except msgspec.DecodeError:
        bare = kind == "edit" and text.lstrip().startswith("*** Begin Patch")
        return _patched(tool, text) if bare else Action(tool, kind, waits)
    if kind in ("command", "other"):
        given = _value(arguments.command) or _value(arguments.cmd)
        if given:
            return _command(tool, given)
    if kind == "edit":
        patch = _string(arguments.patchText) or _string(arguments.input) or _string(arguments.patch)
        if patch:
            return _patched(tool, patch)
    paths = tuple(
        path
        for path in map(_string, (arguments.filePath, arguments.file_path, arguments.path, arguments.notebook_path))
        if path
    )
    if kind == "edit":
        where = paths[0] if paths else ""
        return Action(tool, kind, waits, paths=paths, written=_written(where, arguments))
    pattern = _string(arguments.pattern)
    filters = [text for text in (_string(arguments.glob), _string(arguments.include)) if text]
    return Action(tool, kind, waits, paths=(*paths, *filters), pattern=pattern, only=_string(arguments.type))


def actions(message: Message) -> list[Action]:
    """What each call of a message does, in order."""
    return [action(call) for call in message.tool_calls]


def edits_in_text(text: str) -> list[Written]:
    """The SEARCH/REPLACE blocks of an answer, with the file each is for."""
    if " SEARCH" not in text or "REPLACE" not in text:
        return []
    found: list[Written] = []
    above = ""  # the last line that is no fence: the file's name
    new: list[str] | None = None
    inside = False
    for line in text.split("\n"):
        if _SEARCH.match(line):
            inside, new = True, None
        elif not inside:
            if line.strip() and not line.startswith("```"):
                above = line
        elif new is None:
            new = [] if _DIVIDER.match(line) else None
        elif _REPLACE.match(line):
            found.append(
                Written(above.strip().strip("*:#` "), "".join(f"{one}\n" for one in new)[:_WRITTEN_CHARACTERS])
            )
            inside, new = False, None
        else:
            new.append(line)
    return found


def files_written_by(command: str) -> list[Written]:
    """The files a command writes (`cat > f <<EOF`, `sed -i … f`, `tee f`), and what goes into them where it says so."""
    if ">" not in command and "sed" not in command and "tee" not in command:
        return []
    found = []
    for line, document in _lines(command):
        for pattern in _writes():
            found += [Written(match["path"], document) for match in pattern.finditer(line[:_COMMAND_CHARACTERS])]
    return found


def _lines(command: str) -> Iterator[tuple[str, str]]:
    """The lines of a command, each with the document that follows it; what stands in a document is no shell."""
    lines = iter(command.split("\n"))
    for line in lines:
        begun = _HERE_DOCUMENT.search(line)
        document: list[str] = []
        if begun is not None:
            for inside in lines:
                if inside.strip() == begun[2]:
                    break
                document.append(inside)
        yield line, "\n".join(document)[:_WRITTEN_CHARACTERS]


@cache
def _writes() -> list[re.Pattern[str]]:
    return [re.compile(row.pattern, re.M) for row in table().writes]


def _command(tool: str, given: object) -> Action:
    patch = patch_in(given)
    if patch:
        return _patched(tool, patch)
    command = command_of(given)
    written = tuple(files_written_by(command))
    return Action(tool, "command", False, command=command[:_COMMAND_CHARACTERS], written=written)


def _patched(tool: str, patch: str) -> Action:
    paths = tuple(path.strip() for path in _PATCHED.findall(patch))
    added = "\n".join(_ADDED.findall(patch[: 2 * _WRITTEN_CHARACTERS]))
    where = paths[0] if len(paths) == 1 else ""
    return Action(
        "apply_patch" if tool == "bash" else tool, "edit", False, paths=paths, written=(Written(where, added),)
    )


def _written(path: str, arguments: _Arguments) -> tuple[Written, ...]:
    for raw in (arguments.content, arguments.newString, arguments.new_string, arguments.new_source):
        text = _string(raw)
        if text:
            return (Written(path, text[:_WRITTEN_CHARACTERS]),)
    if arguments.edits != b"null":
        try:
            edits = _edits.decode(arguments.edits)
        except msgspec.DecodeError:
            return ()
        return tuple(Written(path, (edit.newString or edit.new_string)[:_WRITTEN_CHARACTERS]) for edit in edits)
    return ()


def _string(raw: msgspec.Raw) -> str:
    """A string argument's value; '' for anything else."""
    value = _value(raw)
    return value if isinstance(value, str) else ""


def _value(raw: msgspec.Raw) -> object:
    return None if raw == b"null" else msgspec.json.decode(raw)
