"""A tool call as the canonical steps it stands for: one call may hold several edits."""

from __future__ import annotations

import shlex
from typing import Any

import msgspec

from lora_tui.curation.tool_names import canonical, known, read_arguments
from lora_tui.dataset import patch_text
from lora_tui.dataset.unfit import NoCounterpart
from lora_tui.sources.model import Function, ToolCall


def steps(call: ToolCall) -> list[ToolCall]:
    """The call in the canonical vocabulary, patches and multi-edits taken apart. Raises NoCounterpart."""
    name = call.function.name
    found = known(name)
    if found is not None and found.name == "multiedit":
        return _numbered(call, _edits(call))
    if found is not None and found.name == "list":
        path = (read_arguments(call) or {}).get("path") or "."
        return _numbered(call, [("bash", {"command": f"ls {shlex.quote(str(path))}"})])
    translated = canonical(call)
    if translated is None:
        raise NoCounterpart("a call has no counterpart", name)
    if translated.function.name == "apply_patch":
        return _numbered(call, _patched((read_arguments(translated) or {}).get("patchText")))
    return [translated]


def arguments(call: ToolCall) -> dict[str, Any]:
    """A canonical call's arguments."""
    return read_arguments(call) or {}


def _numbered(call: ToolCall, made: list[tuple[str, dict[str, Any]]]) -> list[ToolCall]:
    """The calls with ids of their own: the first keeps the one it was recorded with."""
    if not made:
        raise NoCounterpart("a call cannot be read", call.function.name)
    return [
        ToolCall(
            id=call.id if not index else f"{call.id}_{index + 1}",
            function=Function(name=name, arguments=msgspec.json.encode(given).decode()),
        )
        for index, (name, given) in enumerate(made)
    ]


def _edits(call: ToolCall) -> list[tuple[str, dict[str, Any]]]:
    given = read_arguments(call) or {}
    path = given.get("filePath", given.get("file_path"))
    made: list[tuple[str, dict[str, Any]]] = []
    for edit in given.get("edits") or []:
        old, new = edit.get("oldString", edit.get("old_string")), edit.get("newString", edit.get("new_string"))
        if not all(isinstance(value, str) for value in (path, old, new)):
            raise NoCounterpart("a call cannot be read", call.function.name)
        everywhere = {"replaceAll": True} if edit.get("replaceAll", edit.get("replace_all")) else {}
        made.append(("edit", {"filePath": path, "oldString": old, "newString": new, **everywhere}))
    return made


def _patched(text: object) -> list[tuple[str, dict[str, Any]]]:
    made: list[tuple[str, dict[str, Any]]] = []
    for file in patch_text.parse(text if isinstance(text, str) else ""):
        if file.kind in ("delete", "move"):
            raise NoCounterpart(f"a patch {file.kind}s a file", file.path)
        for hunk in file.hunks:
            if file.kind == "add":
                made.append(("write", {"filePath": file.path, "content": hunk.new}))
            elif hunk.old:
                made.append(("edit", {"filePath": file.path, "oldString": hunk.old, "newString": hunk.new}))
            else:
                raise NoCounterpart("a patch adds lines without saying where")
    return made
