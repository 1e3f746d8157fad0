"""One vocabulary for the tools of all agents: opencode 1.x' names and arguments. Table: rules/tools.toml.

Sources keep what the agent wrote; whoever compares or exports calls translates them here.
"""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from lora_tui.sources.model import Function, ToolCall
from lora_tui.workspace import toml

TABLE = Path(__file__).with_name("rules") / "tools.toml"

Kind = Literal["command", "edit", "read", "search", "other"]

# `apply_patch <<'EOF' …`: how Codex' models send a patch through the shell
_PATCH_COMMAND = re.compile(
    r"""\s*apply_patch\s+<<-?\s*(['"]?)(\w+)\1[ \t]*\n(?P<patch>.*?)\n\2\s*\Z""",
    re.S,
)
_SHELLS = ("bash", "sh", "zsh", "/bin/bash", "/bin/sh", "/bin/zsh", "/usr/bin/bash", "/usr/bin/zsh")


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the table."""

    kind: Kind
    also: tuple[str, ...]
    arguments: dict[str, tuple[str, ...]]
    yes: tuple[tuple[str, str, str, str], ...] = ()
    exported: bool = True
    waits: bool = False


class Writes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a command that writes a file looks; group `path` is the file."""

    pattern: str
    yes: tuple[tuple[str, str], ...]
    no: tuple[str, ...]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int
    tool: dict[str, Tool]
    writes: tuple[Writes, ...]


class Known(NamedTuple):
    """A tool under its canonical name, with every argument name that is known for it."""

    name: str
    tool: Tool
    renamed: dict[str, str]  # any agent's argument name -> canonical one


@cache
def table() -> Table:
    """The table as it is written."""
    return toml.load(TABLE, Table)


@cache
def _by_name() -> dict[str, Known]:
    found: dict[str, Known] = {}
    for name, tool in table().tool.items():
        renamed = {other: argument for argument, others in tool.arguments.items() for other in others}
        known = Known(name, tool, renamed | {argument: argument for argument in tool.arguments})
        for alias in (name, *tool.also):
            found[alias] = known
    return found


def known(name: str) -> Known | None:
    """What the table knows of a tool, by any agent's name for it; None for a tool it does not know."""
    return _by_name().get(name) or _by_name().get(name.lower())


def kind(name: str) -> Kind:
    """What a tool does, by any agent's name for it; 'other' when unknown."""
    found = known(name)
    return found.tool.kind if found is not None else "other"


def waits(name: str) -> bool:
    """Whether calling the tool again with the same arguments is how an agent waits."""
    found = known(name)
    return found is not None and found.tool.waits


def canonical(call: ToolCall) -> ToolCall | None:
    """The call as opencode 1.x would make it; the very same one where nothing has to change.

    None: the tool has no counterpart there, is not known, or its arguments are not the JSON object a tool takes.
    """
    found = known(call.function.name)
    if found is None or not found.tool.exported:
        return None
    arguments = read_arguments(call)
    if arguments is None:
        return None
    name = found.name
    if name == "bash":
        name, arguments = _command(arguments)
    renamed = _by_name()[name].renamed
    changed = {renamed[key]: value for key, value in arguments.items() if key in renamed}
    if name == "todowrite":
        changed["todos"] = _todos(changed.get("todos"))
    if name == call.function.name and changed == arguments:
        return call
    text = msgspec.json.encode(changed).decode()
    return ToolCall(id=call.id, function=Function(name=name, arguments=text), type=call.type)


def read_arguments(call: ToolCall) -> dict[str, Any] | None:
    """A call's arguments as an object; a bare patch (Codex' custom tool) as `input`; None for anything else."""
    text = call.function.arguments
    try:
        value = json.loads(text or "{}", strict=False)
    except ValueError:
        return {"input": text} if text.lstrip().startswith("*** Begin Patch") else None
    return value if isinstance(value, dict) else None


def command_of(value: object) -> str:
    """A command argument as one line of shell: Codex sends a list, often `bash -lc "…"`; '' for anything else."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        return ""
    if len(value) == 3 and value[0] in _SHELLS and value[1] in ("-c", "-lc"):
        return str(value[2])
    return shlex.join(value)


def patch_in(command: object) -> str:
    """The patch that a command hands to `apply_patch`, when that is all the command does; else empty."""
    if isinstance(command, list) and len(command) == 2 and command[0] == "apply_patch":
        return str(command[1])
    found = _PATCH_COMMAND.match(command_of(command))
    return found["patch"] if found else ""


def _command(arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name = "command" if "command" in arguments else "cmd"
    patch = patch_in(arguments.get(name))
    if patch:
        return "apply_patch", {"patchText": patch}
    if isinstance(arguments.get(name), list):
        return "bash", {**arguments, name: command_of(arguments[name])}
    return "bash", arguments


def _todos(items: object) -> list[dict[str, Any]]:
    """opencode wants content, status and priority; others send a step, a form for display, an id."""
    return [
        {
            "content": item.get("content", item.get("step", "")),
            "status": item.get("status", "pending"),
            "priority": item.get("priority", "medium"),
        }
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict)
    ]
