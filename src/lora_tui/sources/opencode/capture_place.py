"""A throw-away home that looks like the user's: opencode may write into it what it likes.

A start of opencode adds `$schema` to configuration files, puts .gitignore beside them and may install packages there.
So these folders are copied; everything else in the home is a link, for a configuration may name files anywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

_CACHES = frozenset({".cache", ".npm", ".bun"})  # never needed, always written to
_CONFIGS = frozenset({"opencode.json", "opencode.jsonc", ".opencode"})  # of a project
_GIT = ".git"


class Place(msgspec.Struct, frozen=True):
    """The folders of one throw-away home below `root`."""

    root: Path
    home: Path
    config: Path
    project: Path
    originals: dict[str, str]  # folder of ours -> what stands for it in a capture

    def told(self, text: str, directory: str) -> str:
        """A text with the user's own paths instead of ours; `directory` for the project's."""
        text = text.replace(str(self.project), directory)
        for ours, theirs in self.originals.items():
            text = text.replace(ours, theirs)
        return text

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The user's environment with every place that opencode writes to below `root`."""
        changed = {f"XDG_{name}_HOME": str(self.root / name.lower()) for name in ("DATA", "STATE", "CACHE")}
        for name in ("OPENCODE_CONFIG", "OPENCODE_CONFIG_DIR"):
            if environment.get(name):
                changed[name] = str(_second(Path(environment[name]), self.root / name))
        for name in ("NO_PROXY", "no_proxy"):  # the model is on this machine
            changed[name] = ",".join(filter(None, ("127.0.0.1", environment.get(name))))
        return {
            **environment,
            **changed,
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.config),
            "PWD": str(self.project),
            "OPENCODE_DB": ":memory:",
            **{f"OPENCODE_DISABLE_{name}": "1" for name in ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "SHARE")},
        }


def make_place(root: Path, environment: Mapping[str, str], project: Path | None) -> Place:
    """Fill `root` (an empty folder). `project`: a folder whose own agents and instructions count too."""
    home = Path(environment.get("HOME") or Path.home())
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    place = Place(
        root=root,
        home=root / "home",
        config=root / "config",
        project=root / "project",
        originals={str(root / "config"): str(config), str(root / "home"): str(home)},
    )
    inside = config.parent == home
    left_out = _CACHES | ({config.name} if inside else frozenset())
    _mirror(home, place.home, copied=frozenset({".opencode"}), left_out=left_out)
    _mirror(config, place.config, copied=frozenset({"opencode"}))
    if inside:
        (place.home / config.name).symlink_to(place.config)
    if project is None:
        place.project.mkdir()
    else:
        _mirror(project.absolute(), place.project, copied=_CONFIGS, left_out=frozenset({_GIT}))
    _make_repository(place.project)
    return place


def _mirror(real: Path, ours: Path, copied: frozenset[str], left_out: frozenset[str] = frozenset()) -> None:
    """A folder of links to what is in `real`; what is named in `copied` is copied."""
    ours.mkdir(parents=True)
    if not real.is_dir():
        return
    for entry in os.scandir(real):
        if entry.name in left_out:
            continue
        if entry.name in copied:
            _copy(Path(entry.path), ours / entry.name)
        else:
            (ours / entry.name).symlink_to(entry.path)


def _copy(real: Path, ours: Path) -> None:
    if not real.is_dir():
        if real.is_file():
            shutil.copyfile(real, ours)
        return
    ours.mkdir()
    for entry in os.scandir(real):
        if entry.name == "node_modules" and entry.is_dir():
            _link_packages(Path(entry.path), ours / entry.name)
        elif entry.is_symlink() and entry.is_dir():  # nothing is written that deep, and links may go in circles
            (ours / entry.name).symlink_to(Path(entry.path).resolve())
        elif entry.name != _GIT:
            _copy(Path(entry.path), ours / entry.name)


def _link_packages(real: Path, ours: Path) -> None:
    """Installed packages by links, one each, so that installing another replaces a link and no package."""
    scopes = frozenset(entry.name for entry in os.scandir(real) if entry.name.startswith("@"))
    _mirror(real, ours, copied=frozenset(), left_out=scopes)
    for scope in scopes:
        _mirror(real / scope, ours / scope, copied=frozenset())


def _second(real: Path, ours: Path) -> Path:
    """A copy of a configuration file (with links to its neighbours) or folder that the environment names."""
    if real.is_dir():
        _copy(real, ours)
        return ours
    _mirror(real.absolute().parent, ours, copied=frozenset({real.name}))
    return ours / real.name


def _make_repository(folder: Path) -> None:
    """Sessions happen in git repositories, and the prompt says so; the user's own repository is not handed out."""
    git = shutil.which("git")
    if git is not None:
        subprocess.run([git, "init", "--quiet", "--template=", str(folder)], capture_output=True, check=False)
