"""The machines of [hosts.NAME] in config.toml: found by name, added and removed with everything else left as it is."""

from __future__ import annotations

import re
import tomllib

import msgspec

from lora_tui.workspace import atomic, toml
from lora_tui.workspace.config import Host, load_config
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_TAKEN = ("local", "together", "runpod", "vast", "host")  # where else one can train
_PORT = re.compile(r"(?:\[(.+)\]|([^:]+)):(\d+)")  # an IPv6 address has its own colons
_HEADER = re.compile(r"\s*\[")


def find(workspace: Workspace, name: str) -> Host:
    """The host of this name. Raises BadInput."""
    known = load_config(workspace).hosts
    if name not in known:
        fix = f"Known: {', '.join(known) or 'none yet'}. Add it: lora-tui hosts add."
        raise BadInput(f"there is no host {name!r}", where=str(workspace.config), fix=fix)
    return known[name]


def add(workspace: Workspace, name: str, host: Host) -> None:
    """Append the host to config.toml; every other line of it stays. Raises BadInput for a name that cannot be used."""
    if not _NAME.fullmatch(name) or name in _TAKEN:
        fix = "Use small letters, digits, dashes; " + ", ".join(_TAKEN) + " mean something else."
        raise BadInput(f"{name!r} cannot name a host", fix=fix)
    if name in load_config(workspace).hosts:
        raise BadInput(
            f"there is a host {name!r} already", where=str(workspace.config), fix="Remove it first, or edit the file."
        )
    given = {
        key: value for key, value in msgspec.to_builtins(host).items() if key == "address" or value != _default(key)
    }
    text = workspace.config.read_text() if workspace.config.is_file() else ""
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    _write(workspace, f"{text}{gap}{toml.dump({'hosts': {name: given}})}")


def remove(workspace: Workspace, name: str) -> None:
    """Take the lines of [hosts.NAME] out of config.toml. Raises BadInput where it has no such table of its own."""
    find(workspace, name)
    before = tomllib.loads(workspace.config.read_text())
    kept: list[str] = []
    behind: list[str] = []  # blank lines and comments at the table's end, which may be about what follows
    inside = False
    for line in workspace.config.read_text().splitlines(keepends=True):
        if _HEADER.match(line):
            kept += behind if any(part.strip() for part in behind) else []
            inside, behind = _is_table_of(line, name), []
        if not inside:
            kept.append(line)
        elif line.strip() and not line.lstrip().startswith("#"):
            behind = []
        else:
            behind.append(line)
    text = "".join(kept + (behind if any(part.strip() for part in behind) else []))
    del before["hosts"][name]
    if not before["hosts"]:
        del before["hosts"]
    if tomllib.loads(text) != before:
        raise BadInput(
            f"{name!r} is not written as a table of its own", where=str(workspace.config), fix="Remove it by hand."
        )
    _write(workspace, text)


def placed(address: str) -> tuple[str, str, int]:
    """What ssh takes as a place, [USER@]ADDRESS[:PORT]: the user, the address and the port, "" and 0 where none is.

    Raises BadInput for what is no address.
    """
    user, _, place = address.strip().rpartition("@")
    found = _PORT.fullmatch(place)
    place, port = (found[1] or found[2], int(found[3])) if found else (place.removeprefix("[").removesuffix("]"), 0)
    if not place or place.startswith("-") or any(letter.isspace() for letter in place) or port > 65535:
        raise BadInput(f"{address!r} is no address", fix="Give a host name, an alias of your ssh config, or USER@HOST.")
    return user, place, port


def _default(key: str) -> object:
    return getattr(Host(address=""), key)


def _is_table_of(line: str, name: str) -> bool:
    try:
        return tomllib.loads(line) == {"hosts": {name: {}}}
    except tomllib.TOMLDecodeError:
        return False


def _write(workspace: Workspace, text: str) -> None:
    workspace.ensure()
    atomic.write_text(workspace.config, text)
