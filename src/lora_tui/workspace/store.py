"""The SQLite store: opening, migrating, and one transaction at a time.

WAL lets the app read while an ingest writes. Each file in migrations/ is one step of `user_version`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lora_tui.workspace.errors import LoraTuiError

_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_MS = 10_000
_LOOK_AGAIN = 0.02  # seconds
_OF_THE_PLACE = ("disk I/O", "is full", "locked", "readonly", "unable to open", "malformed")  # no mistake of ours


def connect(path: Path) -> sqlite3.Connection:
    """Open (and create or migrate) the workspace database; autocommit until `transaction` is used.

    Raises LoraTuiError when the file is not a workspace database, is newer than this program, or cannot be written.
    """
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_MS / 1000, isolation_level=None, cached_statements=256)
        connection.execute("PRAGMA page_size=16384")  # messages are long: half the CPU of storing them in 4 KiB pages
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        _migrate(connection, path)
    except sqlite3.Error as error:
        raise _explained(error, path) from error
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """BEGIN IMMEDIATE … COMMIT; any exception inside rolls everything back.

    Raises LoraTuiError where the disk or the file is to blame.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        raise _explained(error, path) from error
    try:
        yield connection
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.OperationalError) and any(sign in str(error) for sign in _OF_THE_PLACE):
            raise _explained(error, path) from error
        raise
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise _explained(error, path) from error


def schema_steps() -> list[Path]:
    """The migration scripts in order; the n-th brings `user_version` to n."""
    return sorted(_MIGRATIONS.glob("*.sql"))


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    steps = schema_steps()
    if _version(connection) == len(steps):
        return
    with transaction(connection, path):  # another process may have migrated meanwhile: look again inside the lock
        version = _version(connection)
        if version > len(steps):
            raise LoraTuiError(
                f"the workspace was written by a newer lora-tui (schema {version}, this one knows {len(steps)})",
                where=str(path),
                fix="Upgrade lora-tui, or use another --workspace.",
            )
        for script in steps[version:]:
            for statement in _statements(script.read_text()):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(steps)}")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL. While another process does the same, SQLite says "locked" at once: its timeout is not for this."""
    end = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(_LOOK_AGAIN)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; triggers, which hold semicolons themselves, stay whole."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _explained(error: sqlite3.Error, path: Path) -> LoraTuiError:
    text = str(error)
    if "locked" in text or "busy" in text:
        fix = "Another lora-tui is writing; wait for it, or see `lora-tui runs list`."
    elif "full" in text:
        fix = "The disk is full: free some space and try again; nothing was lost."
    elif "malformed" in text or "not a database" in text:
        fix = "The file is damaged or foreign: restore it from a copy, or use another --workspace."
    else:
        fix = "Check the folder's permissions and free space."
    return LoraTuiError(f"the workspace database cannot be used: {text}", where=str(path), fix=fix)
