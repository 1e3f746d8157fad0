"""Names that move: which version of an adapter is in production, which is the candidate, and how they got there.

adapters/aliases.json: {"coder": {"production": "coder@1.4.0", "history": [{time, alias, version, previous, why,
who}]}}. It is replaced as a whole under the registry's lock, so that a reader sees the old state or the new.
"""

from __future__ import annotations

import getpass
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from lora_tui.adapters.locking import locked
from lora_tui.adapters.stored import registered
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

PRODUCTION, CANDIDATE, STANDBY = "production", "candidate", "standby"
_HISTORY = "history"
_ALIAS = re.compile(r"[a-z][a-z0-9_-]*")


class Moved(msgspec.Struct, frozen=True):
    """One alias that was pointed elsewhere."""

    time: float  # epoch seconds
    alias: str
    version: str  # label; empty: the alias was dropped
    previous: str = ""  # label; empty: there was none
    why: str = ""
    who: str = ""


class _Entry(msgspec.Struct, frozen=True):
    aliases: dict[str, str] = {}  # alias: label
    history: tuple[Moved, ...] = ()  # oldest first


def aliases(workspace: Workspace) -> dict[str, dict[str, str]]:
    """{name: {alias: label}} of every adapter that has one. Raises LoraTuiError where the file is damaged."""
    return {name: dict(entry.aliases) for name, entry in _read(workspace).items() if entry.aliases}


def target(workspace: Workspace, name: str, alias: str) -> str:
    """The version that an alias points to, as in "1.4.0"; empty where there is none."""
    return aliases(workspace).get(name, {}).get(alias, "").partition("@")[2]


def dangling(workspace: Workspace) -> dict[str, str]:
    """{NAME@ALIAS: label} of every alias whose version is not there. Raises LoraTuiError."""
    known = {item.label for item in registered(workspace)}
    return {
        f"{name}@{alias}": label
        for name, pointed in aliases(workspace).items()
        for alias, label in pointed.items()
        if label not in known
    }


def history(workspace: Workspace, name: str) -> list[Moved]:
    """What was pointed where, when and why; newest first."""
    return list(reversed(_read(workspace).get(name, _Entry()).history))


def point(workspace: Workspace, name: str, alias: str, version: str, why: str = "") -> str:
    """Point an alias to a version ("1.4.0" or "coder@1.4.0"). Returns the label it pointed to; empty: none.

    Raises BadInput where there is no such version.
    """
    return move(workspace, name, {alias: version}, why)[alias]


def drop(workspace: Workspace, name: str, alias: str, why: str = "") -> str:
    """Take an alias away. Returns the label it pointed to. Raises BadInput where there is no such alias."""
    return move(workspace, name, {alias: ""}, why)[alias]


def move(workspace: Workspace, name: str, targets: Mapping[str, str], why: str = "") -> dict[str, str]:
    """Point several aliases of a name at once; an empty version drops one. Returns what they pointed to before.

    One replacement of the file: whoever reads it sees all of it or nothing. Raises BadInput.
    """
    with locked(workspace):
        return move_locked(workspace, name, targets, why)


def move_locked(workspace: Workspace, name: str, targets: Mapping[str, str], why: str = "") -> dict[str, str]:
    """`move` for who holds the registry's lock already."""
    known = {item.label for item in registered(workspace)}
    every = _read(workspace)
    entry = every.get(name, _Entry())
    pointed, moved, before = dict(entry.aliases), list(entry.history), {}
    for alias, version in targets.items():
        label = f"{name}@{version.rpartition('@')[2]}" if version else ""
        _check(alias, label, known, pointed)
        before[alias] = pointed.pop(alias, "")
        if label:
            pointed[alias] = label
        if before[alias] != label:
            moved.append(Moved(time.time(), alias, label, before[alias], why, who()))
    if len(moved) > len(entry.history):
        _write(workspace, {**every, name: _Entry(pointed, tuple(moved))})
    return before


def _check(alias: str, label: str, known: set[str], pointed: Mapping[str, str]) -> None:
    if not _ALIAS.fullmatch(alias) or alias == _HISTORY:
        raise BadInput(
            f"{alias!r} cannot be an alias", fix="Use lower-case letters, digits, '-' and '_', a letter first."
        )
    if label and label not in known:
        raise BadInput(f"there is no adapter {label!r}", fix="`lora-tui adapters list` shows what there is.")
    if not label and alias not in pointed:
        raise BadInput(f"there is no alias {alias!r}", fix=f"There are: {', '.join(sorted(pointed)) or 'none'}.")


def _path(workspace: Workspace) -> Path:
    return workspace.adapters / "aliases.json"


def _read(workspace: Workspace) -> dict[str, _Entry]:
    path = _path(workspace)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, str | list[Moved]]])
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise LoraTuiError(
            f"the aliases cannot be read: {error}", where=str(path), fix="Mend the file, or remove it and tag again."
        ) from error
    every = {}
    for name, entry in found.items():
        moved = entry.pop(_HISTORY, [])
        pointed = {alias: label for alias, label in entry.items() if isinstance(label, str)}
        every[name] = _Entry(pointed, tuple(moved) if isinstance(moved, list) else ())
    return every


def _write(workspace: Workspace, every: Mapping[str, _Entry]) -> None:
    data = {
        name: {**dict(sorted(entry.aliases.items())), _HISTORY: entry.history} for name, entry in sorted(every.items())
    }
    path = _path(workspace)
    atomic.sweep(path)
    atomic.write_bytes(path, msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n")
    atomic.sync(path.parent)


def who() -> str:
    """Who does it: the name of the account; empty where it has none."""
    with suppress(KeyError, OSError):  # nobody's number: a container
        return getpass.getuser()
    return ""
