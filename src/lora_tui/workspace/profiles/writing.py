"""Profiles as TOML for people: every key with its words, and new files that say only what differs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles.keys import keys, words
from lora_tui.workspace.profiles.layers import Layer, merged, to_profile
from lora_tui.workspace.profiles.loading import EXTENDS, load_profile, profile_layers
from lora_tui.workspace.profiles.schema import NAME, Profile
from lora_tui.workspace.profiles.settings import setting

_WIDTH = 100


def documented(profile: Profile) -> str:
    """Every key of the profile, defaults included, with its words beside it: a profile file in itself."""
    data = msgspec.to_builtins(profile)
    backends = data.pop("backends")
    lines: list[str] = []
    table = ""
    for key in sorted(keys(), key=lambda key: "." in key):  # what stands above every table first
        if key == "backends":
            continue
        into, dot, name = key.rpartition(".")
        if into != table:
            table = into
            lines += ["", f"[{table}]"]
        lines += _line(name, (data[into] if dot else data)[name], words()[key])
    if backends:
        lines += ["", *textwrap.wrap(words()["backends"], initial_indent="# ", subsequent_indent="# ", width=_WIDTH)]
        lines.append(tomli_w.dumps({"backends": backends}).strip())
    return "\n".join(lines) + "\n"


def new_profile(
    workspace: Workspace, name: str, parent: str, layers: Sequence[Layer] = (), *, description: str = ""
) -> Path:
    """Write the profile `name`, which extends `parent`, with only what `layers` change; returns its file.

    Raises BadInput for a name that is none or is taken by a profile of the person's own, and for a wrong value.
    """
    path, text = drafted(workspace, name, parent, layers, description=description)
    if path.exists():
        raise BadInput(
            f"there is a profile {name!r} already", where=str(path), fix="Give another name, or edit the file."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, text.encode())
    return path


def drafted(
    workspace: Workspace, name: str, parent: str, layers: Sequence[Layer] = (), *, description: str = ""
) -> tuple[Path, str]:
    """The file that `new_profile` would write, and its text. Raises BadInput as that does, but for a file there is."""
    if not re.fullmatch(NAME, name):
        raise BadInput(f"{name!r} cannot be the name of a profile", fix="Small letters, digits, dots, - and _.")
    below = profile_layers(workspace, parent)
    base = load_profile(workspace, parent)
    given: dict[str, Any] = {"name": name, "description": description or base.description}
    made = to_profile([*below, *layers, Layer(source="the new profile", data=given)])
    said = {key: value for key, value in merged(layers).items() if key not in given}
    changes = _changes(msgspec.to_builtins(base), said)
    lines = [f"# `lora-tui profiles show {name}` prints every key with what it means, {parent}'s among them."]
    lines += _line("name", made.name, words()["name"]) + _line("description", made.description, words()["description"])
    lines += [f"{_assigned(EXTENDS, parent)} # everything that is not said here"]
    for table, inside in changes.items():
        if table == "backends":
            lines += ["", tomli_w.dumps({table: inside}).strip()]
            continue
        lines += ["", f"[{table}]"]
        for key, value in inside.items():
            lines += _line(key, value, words().get(f"{table}.{key}", ""))
    return workspace.profiles / f"{name}.toml", "\n".join(lines) + "\n"


def settings_layers(workspace: Workspace, parent: str, settings: Sequence[str]) -> list[Layer]:
    """`lora.r=32` and the like as layers over the profile `parent`. Raises BadInput."""
    base = load_profile(workspace, parent)
    return [setting(text, base) for text in settings]


def _changes(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """What of `above` is not in `below` already."""
    found: dict[str, Any] = {}
    for key, value in above.items():
        was = below.get(key)
        if isinstance(value, dict) and isinstance(was, dict) and value:
            if inside := _changes(was, value):
                found[key] = inside
        elif value != was and value != (list(was) if isinstance(was, tuple) else was):
            found[key] = value
    return found


def _line(key: str, value: Any, said: str) -> list[str]:
    if value is None:
        return [f"# {key}: {said}"]
    text = _assigned(key, value)
    if not said:
        return [text]
    beside = f"{text} # {said}"
    if len(beside) <= _WIDTH and "\n" not in text:
        return [beside]
    return [*textwrap.wrap(said, initial_indent="# ", subsequent_indent="# ", width=_WIDTH), text]


def _assigned(key: str, value: Any) -> str:
    """`key = value`, on one line."""
    return f"{tomli_w.dumps({key: 0}).partition(' = ')[0]} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(_assigned(key, item) for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return tomli_w.dumps({"value": value}).strip().removeprefix("value = ")
