"""Removing a version: aliases that pointed to it first, then its tombstone, then its files.

Killed anywhere, the version is whole, or it is a tombstone whose files go at the next removal.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from lora_tui.adapters import aliases, tombstones
from lora_tui.adapters.locking import locked
from lora_tui.adapters.metadata import METADATA, Metadata
from lora_tui.adapters.stored import folders, registered
from lora_tui.adapters.tombstones import Tombstone
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace


def remove(workspace: Workspace, label: str, why: str = "", *, force: bool = False) -> Tombstone:
    """Remove NAME@VERSION, also where its files are damaged; its number is never given again.

    Raises BadInput where there is none, or where aliases point to it and nobody said `force`.
    """
    name, _, version = label.partition("@")
    with locked(workspace):
        for buried in tombstones.tombstones(workspace):
            with suppress(LoraTuiError):  # what is left of an earlier one does not stop this one
                _clear(workspace, buried)
        folder = workspace.adapters / name / version
        if not name or not version or folder not in folders(workspace):
            raise BadInput(f"there is no adapter version {label!r}", fix=_where_else(workspace, label))
        pointing = [alias for alias, target in aliases.aliases(workspace).get(name, {}).items() if target == label]
        if pointing and not force:
            raise BadInput(
                f"{label} is {' and '.join(pointing)}",
                fix=f"Point {'them' if pointing[1:] else 'it'} elsewhere with `lora-tui adapters tag`, or add --force.",
            )
        if pointing:
            aliases.move_locked(workspace, name, dict.fromkeys(pointing, ""), why or f"{label} was removed")
        about = _metadata(folder)
        tombstone = Tombstone(
            name,
            version,
            time.time(),
            why=why,
            who=aliases.who(),
            run=about.run,
            base=about.base,
            weights_sha256=about.weights_sha256,
        )
        tombstones.bury(workspace, tombstone)
        _clear(workspace, tombstone)
    return tombstone


def descendants(workspace: Workspace, label: str) -> list[str]:
    """The versions that went on from it or were merged from it; they stay as they are."""
    return [item.label for item in registered(workspace) if label in item.metadata.parents]


def _where_else(workspace: Workspace, label: str) -> str:
    for item in registered(workspace):
        if item.label == label:
            return f"It lies in {item.folder}, where no version of that name belongs: move it back first."
    return "Name it as `lora-tui adapters list` does: NAME@VERSION."


def _clear(workspace: Workspace, buried: Tombstone) -> None:
    """Remove the files of a buried version, of a link the link. Raises LoraTuiError where they cannot be."""
    folder = workspace.adapters / buried.name / buried.version
    try:
        if folder.is_symlink():
            folder.unlink()
        elif folder.is_dir():
            for path in [folder, *folder.rglob("*")]:
                if path.is_dir() and not path.is_symlink():
                    path.chmod(0o755)
            shutil.rmtree(folder)
    except OSError as error:
        raise LoraTuiError(
            f"{buried.label} counts as removed, but its files cannot be: {error.strerror or error}",
            where=str(folder),
            fix="See who may write there; they go at the next removal, or by hand.",
        ) from error


def _metadata(folder: Path) -> Metadata:
    try:
        return toml.load(folder / METADATA, Metadata)
    except LoraTuiError:
        return Metadata(name=folder.parent.name)
