"""A copy of a workspace to try things in: its database copied, its other files linked, all of it gone afterwards.

Folders are made anew, so whatever is written lies beside the links and never in the workspace. The copy holds the
sessions: it is for the owner's eyes alone, in the system's folder for temporary files ($TMPDIR).
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

_MIRRORED = ("datasets", "measured", "probed", "captures", "opencode", "serving")
_LINKED = ("profiles", "demo", "config.toml", "engines")
_OF_A_RUN = ("job.toml", "journal.jsonl", "lock", "process.toml")


@contextmanager
def copied(workspace: Workspace) -> Iterator[Workspace]:
    """The copy. Raises LoraTuiError where there is no room for it, or the database cannot be read."""
    with tempfile.TemporaryDirectory(prefix="lora-tui-dry-run-", ignore_cleanup_errors=True) as folder:
        copy = Workspace(Path(folder) / "workspace")
        copy.root.mkdir()
        try:
            _database(workspace.database, copy.database)
            for name in _MIRRORED:
                _mirror(workspace.root / name, copy.root / name)
            for version in workspace.adapters.glob("[!.]*/[!.]*"):
                _link(version, copy.adapters / version.relative_to(workspace.adapters))
            _link(workspace.adapters / "aliases.json", copy.adapters / "aliases.json")
            for name in _LINKED:
                _link(workspace.root / name, copy.root / name)
            _runs(workspace.runs, copy.runs)
            copy.ensure()
        except (OSError, sqlite3.Error) as error:
            raise LoraTuiError(
                f"the workspace cannot be copied for a dry run: {error}",
                where=folder,
                fix="It takes as much room as workspace.db; set $TMPDIR to a folder that has it.",
            ) from error
        try:
            yield copy
        finally:
            copy.close()


def _database(source: Path, target: Path) -> None:
    """Copy it as it is, also while others write. Nothing is made beside it: a reader would leave -wal and -shm."""
    if not source.is_file():
        return
    quiet = not source.with_name(f"{source.name}-wal").exists()
    uri = f"{source.absolute().as_uri()}?mode=ro{'&immutable=1' if quiet else ''}"
    with closing(sqlite3.connect(uri, uri=True)) as read, closing(sqlite3.connect(target)) as write:
        read.backup(write)


def _mirror(source: Path, target: Path) -> None:
    for place, _, names in os.walk(source):
        folder = target / Path(place).relative_to(source)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not name.startswith("."):  # locks and drafts of those who work there
                _link(Path(place) / name, folder / name)


def _runs(source: Path, target: Path) -> None:
    for path in source.glob("*/job.toml"):
        for name in _OF_A_RUN:
            _link(path.parent / name, target / path.parent.name / name)


def _link(source: Path, target: Path) -> None:
    """A link, where there is something to link to."""
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
