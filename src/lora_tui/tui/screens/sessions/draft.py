"""An example as a text to edit: TOML with the contents as plain lines, read back with exact errors."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from lora_tui.curation import labels
from lora_tui.sources.model import Message
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

_INTRO = """\
# Change what should be learned, save, and leave the editor; leave it unchanged to change nothing.
# The original stays in the workspace, and u takes this back. `number` ties a message to the original it came from;
# a new message has none. `tool_calls` hold their arguments as JSON text. `weight = 0` in an assistant's message keeps
# it in sight but out of the loss; `weight = 1` has it learned from; without one the rules decide.

"""


class _Draft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    role: str
    content: Any = None
    number: int = -1
    reasoning_content: str = ""
    tool_calls: list[dict[str, Any]] = []
    tool_call_id: str = ""
    weight: int | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message: list[_Draft]


def to_text(messages: Sequence[Message]) -> str:
    """The messages as a draft."""
    items = []
    for number, message in enumerate(messages):
        data = msgspec.to_builtins(message)
        data.pop("about", None)
        data["weight"] = message.about.weight
        items.append({"number": number, **{key: value for key, value in data.items() if value is not None}})
    return _INTRO + tomli_w.dumps({"message": items}, multiline_strings=True)


def from_text(text: str, originals: Sequence[Message], path: Path) -> list[Message]:
    """The messages of an edited draft; one that was not touched is the original itself. Raises BadInput."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"the draft is not valid TOML: {error}", where=str(path), fix=_AGAIN) from error
    try:
        file = toml.convert(data, _File, path)
        before = msgspec.convert(tomllib.loads(to_text(originals)), _File).message
        return [_message(draft, before, originals) for draft in file.message]
    except msgspec.ValidationError as error:
        raise BadInput(f"the draft is not a conversation: {error}", where=str(path), fix=_AGAIN) from error
    except LoraTuiError as error:
        raise BadInput(error.what, where=error.where, fix=_AGAIN) from error


_AGAIN = "Press e again to go on with this draft, or delete the file to begin anew."


def _message(draft: _Draft, before: Sequence[_Draft], originals: Sequence[Message]) -> Message:
    known = 0 <= draft.number < len(originals)
    if known and draft == before[draft.number]:
        return originals[draft.number]
    data = msgspec.to_builtins(draft)
    data.pop("number", None)
    weight = data.pop("weight", None)
    if weight not in (None, 0, 1):
        raise BadInput(f"`weight` is 0 or 1, not {weight}")
    found = msgspec.convert(data, Message)
    about = originals[draft.number].about if known else found.about
    return msgspec.structs.replace(found, about=msgspec.structs.replace(about, weight=weight))


def path_of(workspace: Workspace, identity: int) -> Path:
    """Where the draft of an example lies while it is being edited."""
    return workspace.root / "drafts" / f"example-{identity}.toml"


def write(path: Path, messages: Sequence[Message]) -> None:
    """Begin a draft, or leave the one that lies there from an edit that could not be read."""
    if not path.exists():
        atomic.write_text(path, to_text(messages))


def read(path: Path, originals: Sequence[Message]) -> list[Message]:
    """The messages of the draft at `path`. Raises BadInput; the draft stays."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the draft cannot be read: {error}", where=str(path), fix=_AGAIN) from error
    return from_text(text, originals, path)


def store(workspace: Workspace, identity: int, messages: Sequence[Message], author: str) -> None:
    """Record an edited example; its draft goes only when that is done. Raises LoraTuiError."""
    path = path_of(workspace, identity)
    try:
        labels.edit(workspace, identity, messages, author=author)
    except LoraTuiError as error:
        raise BadInput(error.what, where=str(path), fix=_AGAIN) from error
    path.unlink(missing_ok=True)


def run_editor(editor: str, path: Path) -> LoraTuiError | None:
    """Run the person's editor on the draft and wait; what went wrong is returned, for the terminal is not ours yet."""
    command = editor or os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    screen = sys.__stderr__
    try:
        done = subprocess.run([*shlex.split(command), str(path)], stderr=screen, check=False)
    except (OSError, ValueError) as error:
        return BadInput(
            f"the editor {command!r} cannot be run: {error}", fix="Set $EDITOR, or `editor` in config.toml."
        )
    if done.returncode:
        return LoraTuiError(f"the editor {command!r} ended with code {done.returncode}", where=str(path), fix=_AGAIN)
    return None
