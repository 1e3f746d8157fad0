"""Versions that were removed: a tombstone says what, when and why, and keeps the number from being given again.

adapters/<name>/.removed/<version>.toml. From the moment it is written the version counts as removed; what is left of
its folder after a kill goes at the next removal.
"""

from __future__ import annotations

import msgspec

from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

_FOLDER = ".removed"


class Tombstone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One removed version."""

    name: str
    version: str
    time: float  # epoch seconds
    why: str = ""
    who: str = ""
    run: str = ""  # its run's adapter is not taken in again
    base: str = ""
    weights_sha256: str = ""

    @property
    def label(self) -> str:
        """How people named it: tiny@1.0.0."""
        return f"{self.name}@{self.version}"


def tombstones(workspace: Workspace) -> list[Tombstone]:
    """Every removed version, newest removal first. Where a tombstone lies says whose it is: its files get removed."""
    found = []
    for path in workspace.adapters.glob(f"*/{_FOLDER}/*.toml"):
        try:
            read = toml.load(path, Tombstone)
            found.append(msgspec.structs.replace(read, name=path.parent.parent.name, version=path.stem))
        except LoraTuiError:  # the number stays taken
            when = path.stat().st_mtime
            found.append(Tombstone(path.parent.parent.name, path.stem, when, "its tombstone is damaged"))
    return sorted(found, key=lambda item: item.time, reverse=True)


def bury(workspace: Workspace, tombstone: Tombstone) -> None:
    """Write a tombstone: the version counts as removed from here on. Raises LoraTuiError."""
    path = workspace.adapters / tombstone.name / _FOLDER / f"{tombstone.version}.toml"
    atomic.write_text(path, toml.dump(tombstone))
    atomic.sync(path.parent)
