"""Where opencode keeps its sessions (`opencode debug paths` prints the same)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from lora_tui.sources import files
from lora_tui.workspace.errors import SourceError

_SIDE_FILES = ("-wal", "-shm", "-journal")


def data_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """$XDG_DATA_HOME/opencode, else ~/.local/share/opencode, on macOS too."""
    base = environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "opencode"


def places(paths: Sequence[Path], environment: Mapping[str, str] = os.environ) -> tuple[list[Path], list[Path]]:
    """Databases and JSON storage folders: at `paths`, or where opencode keeps them.

    A path may be a database, a data folder, or a storage folder. Raises SourceError for one that is none of these.
    """
    databases: list[Path] = []
    storages: list[Path] = []
    for path in map(Path.absolute, paths):
        if path.is_dir():
            in_folder, storage = _in_folder(path)
            if not in_folder and not storage:
                raise SourceError(
                    "there are no opencode sessions in this folder",
                    where=str(path),
                    fix="Give a database (opencode.db), opencode's data folder, or its storage folder.",
                )
            databases += in_folder
            storages += storage
        else:
            databases.append(path)
    if not paths:
        folder = data_folder(environment)
        databases, storages = _in_folder(folder)
        named = environment.get("OPENCODE_DB")
        if named and named != ":memory:":
            databases.insert(0, folder / named)  # relative names are meant from the data folder
        if not databases and not storages:
            raise SourceError(
                "opencode has no sessions on this machine",
                where=str(folder),
                fix="Give the path of a database or data folder: lora-tui ingest opencode PATH.",
            )
    return files.once(databases), files.once(storages)


def _in_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    databases = [path for path in sorted(folder.glob("opencode*.db")) if not path.name.endswith(_SIDE_FILES)]
    storages = [path for path in (folder, folder / "storage") if (path / "session").is_dir()]
    return databases, storages
