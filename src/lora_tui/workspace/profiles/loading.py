"""From a name to a profile: its file, the files it extends, presets and settings over them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles.layers import Layer, for_backend, to_profile
from lora_tui.workspace.profiles.schema import Profile
from lora_tui.workspace.profiles.settings import setting
from lora_tui.workspace.resources import shipped

EXTENDS = "extends"
PRESETS = "presets"
_OWN = ("name", "description")  # never inherited, never of a preset


def profile_paths(workspace: Workspace) -> dict[str, Path]:
    """Every known profile by name; a person's own in the workspace wins over a shipped one."""
    return _by_name(folders(workspace))


def preset_paths(workspace: Workspace) -> dict[str, Path]:
    """Every known preset by name; a person's own wins."""
    return _by_name([folder / PRESETS for folder in folders(workspace)])


def folders(workspace: Workspace) -> list[Path]:
    """Where profiles lie: the shipped ones, then a person's own."""
    return [shipped("profiles"), workspace.profiles]


def load_profile(
    workspace: Workspace,
    name: str,
    *,
    presets: Sequence[str] = (),
    settings: Sequence[str] = (),
    backend: str = "",
) -> Profile:
    """The profile called `name`, or the one in the file `name`, with everything it extends.

    presets and settings ("lora.r=32") are laid over it in their order, the values of its table [backends.BACKEND]
    between its own and theirs. Raises BadInput with file, key and line.
    """
    layers = profile_layers(workspace, name)
    made = for_backend(to_profile(layers), backend)
    for preset in presets:
        made = _over(made, preset_layer(workspace, preset))
    for text in settings:
        made = _over(made, setting(text, made))
    return made


def profile_layers(workspace: Workspace, name: str) -> list[Layer]:
    """What the profile is made of: the file at the root of `extends` first, its own last. Raises BadInput."""
    path = Path(os.path.expanduser(name)) if name.endswith(".toml") else profile_paths(workspace).get(name)
    if path is None or not path.is_file():
        known = ", ".join(sorted(profile_paths(workspace)))
        raise BadInput(f"there is no profile {name!r}", fix=f"Known profiles: {known}.")
    layers: list[Layer] = []
    seen: list[Path] = []
    while path is not None:
        seen.append(path.resolve())
        data = toml.read(path)
        parent = data.pop(EXTENDS, "")
        if layers:
            data = {key: value for key, value in data.items() if key not in _OWN}
        layers.insert(0, Layer(source=path, data=data))
        path = _parent(workspace, path, parent, seen) if parent != "" else None
    return layers


def preset_layer(workspace: Workspace, name: str) -> Layer:
    """What the preset says. Raises BadInput."""
    known = preset_paths(workspace)
    if name not in known:
        raise BadInput(f"there is no preset {name!r}", fix=f"Known presets: {', '.join(sorted(known))}.")
    data = {key: value for key, value in toml.read(known[name]).items() if key not in _OWN}
    return Layer(source=known[name], data=data)


def preset_description(path: Path) -> str:
    """What a preset says of itself."""
    return str(toml.read(path).get("description", ""))


def _over(profile: Profile, layer: Layer) -> Profile:
    """`profile` with one more layer."""
    return to_profile([Layer(source="the profile", data=msgspec.to_builtins(profile)), layer])


def _parent(workspace: Workspace, child: Path, parent: Any, seen: Sequence[Path]) -> Path:
    """The file that `extends = "parent"` in `child` means: beside it, then among the profiles by name."""
    where = toml.place(child, EXTENDS)
    if not isinstance(parent, str):
        raise BadInput("extends: expected the name of a profile or a file", where=where)
    file = parent if parent.endswith(".toml") else f"{parent}.toml"
    places = [child.parent, *reversed(folders(workspace))]
    found = [path for folder in places if (path := folder / Path(file).expanduser()).is_file()]
    fresh = [path for path in found if path.resolve() != child.resolve()]  # one's own "tiny" may extend the shipped one
    if not fresh:
        if found:
            raise BadInput(f"extends: {parent!r} is the profile itself", where=where)
        known = ", ".join(sorted(profile_paths(workspace)))
        raise BadInput(f"extends: there is no profile {parent!r}", where=where, fix=f"Known profiles: {known}.")
    if fresh[0].resolve() in seen:
        chain = " → ".join([*(path.stem for path in seen), fresh[0].stem])
        raise BadInput(f"extends goes round in a circle: {chain}", where=where, fix="Let one of them extend nothing.")
    return fresh[0]


def _by_name(places: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in places:
        if folder.is_dir():
            found.update({path.stem: path for path in sorted(folder.glob("*.toml"))})
    return found
