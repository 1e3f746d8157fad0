"""A commit as the session it could have been: a request, the code as it was, the edits.

The tool names and arguments are opencode's. Nothing here depends on the clock or the machine, so that mining a commit
again gives the same messages.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from lora_tui.sources.git.commit import File
from lora_tui.sources.git.contents import Kept
from lora_tui.sources.git.edits import Edited
from lora_tui.sources.git.request import request
from lora_tui.sources.model import About, Function, Message, ToolCall

_OK = "ok"


def messages(kept: Kept) -> Iterator[Message]:
    """user → assistant reads → tool outputs → assistant edits or writes → "ok" each."""
    commit = kept.commit
    about = About(created=commit.date)
    asked = About(native_id=commit.sha, created=commit.date)
    yield Message(role="user", content=request(commit.subject, commit.body), about=asked)
    changed = [(file, edit) for file, edit in zip(commit.files, kept.edits, strict=True)]
    reads = [read for file, edit in changed if edit is not None for read in _reads(file, edit)]
    number = 0
    if reads:
        calls = []
        for arguments, _ in reads:
            number += 1
            calls.append(_call(number, "read", arguments))
        yield Message(role="assistant", tool_calls=calls, about=about)
        for call, (_, shown) in zip(calls, reads, strict=True):
            yield Message(role="tool", content=shown, tool_call_id=call.id, about=about)
    calls = []
    for name, arguments in (write for file, edit in changed for write in _writes(file, edit)):
        number += 1
        calls.append(_call(number, name, arguments))
    yield Message(role="assistant", tool_calls=calls, about=about)
    for call in calls:
        yield Message(role="tool", content=_OK, tool_call_id=call.id, about=about)


def _reads(file: File, edit: Edited) -> Iterator[tuple[dict[str, object], str]]:
    """The read calls of a file, with what they show. A renamed file is read under its new name."""
    if edit.whole:
        yield {"filePath": file.path}, file.before
        return
    for piece in edit.pieces:
        yield {"filePath": file.path, "offset": piece.line, "limit": piece.lines}, piece.old


def _writes(file: File, edit: Edited | None) -> Iterator[tuple[str, dict[str, object]]]:
    if edit is None:
        yield "write", {"filePath": file.path, "content": file.after}
        return
    for piece in edit.pieces:
        yield "edit", {"filePath": file.path, "oldString": piece.old, "newString": piece.new}


def _call(number: int, name: str, arguments: dict[str, object]) -> ToolCall:
    return ToolCall(id=f"call_{number}", function=Function(name, msgspec.json.encode(arguments).decode()))
