"""Which of opencode's files to change: where they lie, and which of several wins.

The order of opencode 1.18: the global folder's config.json, opencode.json, opencode.jsonc; $OPENCODE_CONFIG; from the
repository's root down opencode.json and .jsonc, then those in .opencode; $OPENCODE_CONFIG_CONTENT. Merged, later wins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from lora_tui.workspace.errors import BadInput

NAMES = ("opencode.json", "opencode.jsonc")  # of two in one folder the later wins
PROJECT = "project"  # a project's place is called so, and by its root
_FOLDER = ".opencode"


class Place(msgspec.Struct, frozen=True):
    """One place to write to: the settings file to change, and the folder of agents that goes with it."""

    name: str  # what its records are kept under
    config: Path  # may not be there yet
    agents: Path | None  # None: agents can only be written into the settings
    layers: tuple[Path, ...]  # every settings file that opencode reads, in its order, `config` among them
    is_read: bool = True  # opencode reads `config` as things are

    @property
    def over(self) -> tuple[Path, ...]:
        """The files that win over the one to change."""
        return self.layers[self.layers.index(self.config) + 1 :]


def global_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """$XDG_CONFIG_HOME/opencode, else ~/.config/opencode, on macOS too."""
    base = environment.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "opencode"


def global_place(directory: Path, environment: Mapping[str, str] = os.environ) -> Place:
    """The settings for every project; `directory` is where opencode would be started."""
    folder = global_folder(environment)
    return _place(
        "global", [folder / name for name in ("config.json", *NAMES)], NAMES[1], folder, directory, environment
    )


def project_place(directory: Path, environment: Mapping[str, str] = os.environ) -> Place:
    """The settings of the repository that `directory` is in, or of that folder where it is in none."""
    root = root_of(directory)
    candidates = [folder / name for folder in (root, root / _FOLDER) for name in NAMES]
    return _place(f"{PROJECT} {root}", candidates, NAMES[0], root / _FOLDER, directory, environment)


def file_place(path: Path, directory: Path, environment: Mapping[str, str] = os.environ) -> Place:
    """The settings in one file: of a folder of opencode's with the agents beside it, else with them inside."""
    path = path.absolute()
    if path.name in NAMES and (path.parent / ".git").exists():
        return _place(f"file {path}", [path], path.name, path.parent / _FOLDER, path.parent, environment)
    is_beside = path.parent == global_folder(environment).absolute() or path.parent.name == _FOLDER
    found = _place(f"file {path}", [path], path.name, path.parent if is_beside else None, directory, environment)
    named = environment.get("OPENCODE_CONFIG")
    is_read = is_beside or (bool(named) and Path(str(named)).absolute() == path)
    return msgspec.structs.replace(found, is_read=is_read)


def layers(directory: Path, config: Path, environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Every settings file that opencode, started in `directory`, reads, in its order, `config` among them.

    One that is not in opencode's folders is read where $OPENCODE_CONFIG is.
    """
    root = root_of(directory)
    inside = [directory, *directory.parents]
    folders = list(reversed(inside[: inside.index(root) + 1]))
    first = [global_folder(environment) / name for name in ("config.json", *NAMES)]
    named = environment.get("OPENCODE_CONFIG")
    last = [folder / name for folder in folders for name in NAMES]
    last += [folder / _FOLDER / name for folder in folders for name in NAMES]
    if folder := environment.get("OPENCODE_CONFIG_DIR"):
        last += [Path(folder).absolute() / name for name in NAMES]
    found = [*first, *([Path(named).absolute()] if named else []), *last]
    if config not in found:
        found.insert(len(first), config)
    return [path for path in found if path.is_file() or path == config]


def _place(
    name: str,
    candidates: list[Path],
    fresh: str,
    agents: Path | None,
    directory: Path,
    environment: Mapping[str, str],
) -> Place:
    """Change the file that wins of those that are there, else make `fresh` beside the first candidate."""
    existing = [path for path in candidates if path.is_file()]
    config = existing[-1] if existing else candidates[0].with_name(fresh)
    return Place(
        name=name,
        config=config,
        agents=_agents(agents) if agents is not None else None,
        layers=tuple(layers(directory.absolute(), config, environment)),
    )


def _agents(folder: Path) -> Path:
    """opencode reads agent/ and agents/; the one that is there is used."""
    return folder / "agents" if (folder / "agents").is_dir() and not (folder / "agent").is_dir() else folder / "agent"


def root_of(directory: Path) -> Path:
    directory = directory.absolute()
    return next((one for one in (directory, *directory.parents) if (one / ".git").exists()), directory)


def target(path: Path) -> Path:
    """Where a file's bytes lie. Raises BadInput for links in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise BadInput("links that lead nowhere", where=str(path)) from error
