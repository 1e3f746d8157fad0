"""What one tool call does, whichever agent made it: the kind, the command, the files, the code it writes.

Read once per call; classification, outcome, loops and weights all look at this.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import msgspec

from lora_tui.curation.tool_names import Kind, command_of, known, patch_in, table
from lora_tui.sources.model import Message, ToolCall

_COMMAND_CHARACTERS = 4_000
_WRITTEN_CHARACTERS = 8_000  # of one edit: what judges code looks at less

_PATCHED = re.compile(r"^\*\*\* (?:Add File|Update File|Delete File|Move to): (.+)$", re.M)
_ADDED = re.compile(r"^\+(.*)$", re.M)
_HERE_DOCUMENT = re.compile(r"<<-?\s*(['\"]?)(\w+)\1[^\n]*\n(.*?)\n\s*\2\b", re.S)

# Aider and other chat: a file's name, then a fenced SEARCH/REPLACE block.
_BLOCK = re.compile(
    r"^(?P<path>[^\n`]*)\n(?:```[^\n]*\n)?(?:[^\n`]*\n)?"
    r"<{5,9} SEARCH\s*?\n(?:.*?\n)?={5,9}[ \t]*\n(?P<new>.*?)^>{5,9} REPLACE",
    re.M | re.S,
)


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
_NOTHING = _Arguments()


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
    return [
        Written(found["path"].strip().strip("*:#` "), found["new"][:_WRITTEN_CHARACTERS])
        for found in _BLOCK.finditer(text)
    ]


def files_written_by(command: str) -> list[Written]:
    """The files a command writes (`cat > f <<EOF`, `sed -i … f`, `tee f`), and what goes into them where it says so."""
    if ">" not in command and "sed" not in command and "tee" not in command:
        return []
    shell = command
    for document in _HERE_DOCUMENT.finditer(command):  # what stands in a document is no shell
        shell = shell[: document.start(3)] + " " * len(document[3]) + shell[document.end(3) :]
    found = []
    for pattern in _writes():
        for match in pattern.finditer(shell):
            line = command.find("\n", match.start())
            body = _HERE_DOCUMENT.search(command, command.rfind("\n", 0, match.start()) + 1)
            inside = body is not None and 0 <= line < body.start(3) <= line + 1
            found.append(Written(match["path"], body[3][:_WRITTEN_CHARACTERS] if body and inside else ""))
    return found


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
