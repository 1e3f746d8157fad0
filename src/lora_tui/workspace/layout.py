"""Where everything lies: one folder that holds a person's sessions, datasets, runs, adapters and reports."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lora_tui.workspace import store
from lora_tui.workspace.errors import LoraTuiError

_FOLDERS = ("datasets", "runs", "adapters", "reports", "profiles", "logs")


class Workspace:
    """One workspace folder and the connections to its database, one per thread.

    Nothing is created until `ensure` or `connection` is called, so asking for a path costs nothing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "workspace.db"
        self.datasets = root / "datasets"
        self.runs = root / "runs"
        self.adapters = root / "adapters"
        self.reports = root / "reports"
        self.profiles = root / "profiles"
        self.logs = root / "logs"
        self.config = root / "config.toml"
        self._local = threading.local()

    @classmethod
    def locate(cls, override: str | os.PathLike[str] | None = None) -> Workspace:
        """The workspace named by `override`, else by $LORA_TUI_WORKSPACE, else in the platform's data folder."""
        named = override or os.environ.get("LORA_TUI_WORKSPACE")
        if named:
            return cls(Path(named).expanduser().absolute())
        import platformdirs

        return cls(Path(platformdirs.user_data_dir("lora-tui", appauthor=False)))

    def ensure(self) -> None:
        """Create the folders. Raises LoraTuiError where the place cannot be written."""
        try:
            for name in _FOLDERS:
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LoraTuiError(
                f"cannot create the workspace: {error.strerror}",
                where=str(self.root),
                fix="Choose another folder with --workspace or $LORA_TUI_WORKSPACE.",
            ) from error

    def connection(self) -> sqlite3.Connection:
        """This thread's connection to workspace.db, migrated to the current schema."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            self.ensure()
            connection = store.connect(self.database)
            self._local.connection = connection
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction on this thread's connection: everything inside happens, or nothing."""
        with store.transaction(self.connection(), self.database) as connection:
            yield connection

    def close(self) -> None:
        """Close this thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None
