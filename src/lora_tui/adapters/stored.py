"""The versions that lie in adapters/<name>/<version>/. The folders are the registry: there is no index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from lora_tui.adapters import tombstones
from lora_tui.adapters.metadata import METADATA, Metadata
from lora_tui.workspace import toml
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace


class Adapter(msgspec.Struct, frozen=True):
    """One registered version, or an adapter folder that lies elsewhere and has no version."""

    folder: Path
    metadata: Metadata

    @property
    def label(self) -> str:
        """How people name it: tiny@1.0.0."""
        return f"{self.metadata.name}@{self.metadata.version}" if self.metadata.version else str(self.folder)


def registered(workspace: Workspace) -> list[Adapter]:
    """Every version that can be read, newest first."""
    found = []
    for folder in folders(workspace):
        try:
            found.append(Adapter(folder=folder, metadata=toml.load(folder / METADATA, Metadata)))
        except LoraTuiError:
            continue  # see `unreadable`
    return sorted(found, key=lambda item: item.metadata.created, reverse=True)


def unreadable(workspace: Workspace) -> dict[str, str]:
    """{label: why} of every version whose metadata cannot be read."""
    found = {}
    for folder in folders(workspace):
        try:
            toml.load(folder / METADATA, Metadata)
        except LoraTuiError as error:
            found[f"{folder.parent.name}@{folder.name}"] = error.what
    return found


def misplaced(adapters: Iterable[Adapter]) -> dict[str, Path]:
    """{label: folder} of the versions that do not lie where their metadata says."""
    return {
        item.label: item.folder
        for item in adapters
        if (item.folder.parent.name, item.folder.name) != (item.metadata.name, item.metadata.version)
    }


def folders(workspace: Workspace) -> Iterator[Path]:
    """The folder of every version that was not removed, readable or not."""
    gone = {(item.name, item.version) for item in tombstones.tombstones(workspace)}
    for folder in sorted(workspace.adapters.glob("[!.]*/[!.]*")):
        if folder.is_dir() and (folder.parent.name, folder.name) not in gone:
            yield folder
