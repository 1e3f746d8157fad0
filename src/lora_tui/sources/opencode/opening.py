"""Opening somebody else's SQLite database so that neither it nor its folder changes.

Without a write-ahead log beside it the file is opened as immutable: SQLite then makes no -wal and no -shm. With one,
a plain read-only connection reads beside the live writer. A log left behind without its -shm (a program that was
killed) would make SQLite write a new -shm: the pair is copied and the copy is read.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lora_tui.sources.registry import ChangedMeanwhile
from lora_tui.workspace.errors import SourceError

BUSY_MS = 5_000
LARGEST_ROW = 64 * 1024**2  # bytes; a larger row is refused by SQLite and quarantined by the reader
LARGEST_COPY = 4 * 1024**3  # bytes

_SHARED_FIRST = 0x40000002  # SQLite's lock bytes: https://sqlite.org/fileformat2.html, "The Lock-Byte Page"
_SHARED_SIZE = 510


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """One read transaction on the database at `path`; text comes as str, `CAST(… AS BLOB)` as the bytes stored.

    Raises SourceError for what cannot be read, ChangedMeanwhile when the answers may be torn: read again then.
    """
    _refuse_unlikely(path)
    log = path.with_name(path.name + "-wal")
    if not _size(log):
        with _immutable(path, log) as connection:
            yield connection
    elif path.with_name(path.name + "-shm").exists():
        with _connected(path, "mode=ro") as connection:
            yield connection
    else:
        with _copied(path, log) as copy, _connected(copy, "mode=ro", shown=path) as connection:
            yield connection


@contextmanager
def _immutable(path: Path, log: Path) -> Iterator[sqlite3.Connection]:
    _wait_for_lock(path)
    before = _state(path)
    try:
        with _connected(path, "mode=ro&immutable=1") as connection:
            yield connection
    except SourceError:
        if _size(log) or _state(path) != before:
            raise ChangedMeanwhile from None
        raise
    if _size(log) or _state(path) != before:
        raise ChangedMeanwhile


@contextmanager
def _connected(path: Path, mode: str, shown: Path | None = None) -> Iterator[sqlite3.Connection]:
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{mode}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_MS / 1000,
            cached_statements=64,
        )
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_ROW)
    except sqlite3.Error as error:
        raise explained(error, shown or path) from error
    with closing(connection):
        try:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # now the snapshot is taken
        except sqlite3.Error as error:
            raise explained(error, shown or path) from error
        yield connection


@contextmanager
def _copied(path: Path, log: Path) -> Iterator[Path]:
    """A private copy of a database and its log; nobody has them open, else there were a -shm."""
    size = _size(path) + _size(log)
    with tempfile.TemporaryDirectory(prefix="lora-tui-") as folder:
        if size > min(LARGEST_COPY, shutil.disk_usage(folder).free // 2):
            raise SourceError(
                "the database has an unfinished write-ahead log and is too large to copy",
                where=str(path),
                fix="Start and leave opencode once (it finishes the log), then try again.",
            )
        before = (_state(path), _state(log))
        copy = Path(folder) / path.name
        try:
            shutil.copyfile(path, copy)
            shutil.copyfile(log, copy.with_name(copy.name + "-wal"))
        except OSError as error:
            raise _unreadable(error, path) from error
        if (_state(path), _state(log)) != before:
            raise ChangedMeanwhile
        yield copy


def _refuse_unlikely(path: Path) -> None:
    """Errors that SQLite would tell less clearly, or not at all."""
    try:
        if path.exists() and not path.is_file():
            raise SourceError("this is no file", where=str(path), fix=_OTHER)
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise _unreadable(error, path) from error
    if not head:
        raise SourceError("the database is empty (zero bytes)", where=str(path), fix=_OTHER)
    if head != b"SQLite format 3\0":
        raise SourceError("this is not an SQLite database", where=str(path), fix=_OTHER)


def _wait_for_lock(path: Path) -> None:
    """Wait until nobody holds the file exclusively; an immutable connection would not notice.

    Raises SourceError after BUSY_MS. Where file locks do not exist there is nothing to wait for.
    """
    try:
        import fcntl
    except ImportError:
        return
    deadline = time.monotonic() + BUSY_MS / 1000
    with path.open("rb") as file:
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST, os.SEEK_SET)
                fcntl.lockf(file, fcntl.LOCK_UN, _SHARED_SIZE, _SHARED_FIRST, os.SEEK_SET)
                return
            except (BlockingIOError, PermissionError):
                if time.monotonic() > deadline:
                    raise SourceError("the database is locked", where=str(path), fix=_LOCKED) from None
                time.sleep(0.05)
            except OSError:  # a file system without locks
                return


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


_OTHER = "Give the path of opencode's database (opencode.db) or of its data folder."
_LOCKED = "Another program holds it: leave opencode, or try again in a moment."


def _unreadable(error: OSError, path: Path) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError("there is no such file", where=str(path), fix=_OTHER)
    if isinstance(error, IsADirectoryError):
        return SourceError("this is a folder, not a database", where=str(path), fix=_OTHER)
    return SourceError(f"the file cannot be read: {error.strerror}", where=str(path), fix="Check its permissions.")


def explained(error: sqlite3.Error, path: Path) -> SourceError:
    """SQLite's error as a person can use it."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return SourceError("the database is locked", where=str(path), fix=_LOCKED)
    if "not a database" in text or "malformed" in text or "corrupt" in text or "disk I/O" in text:
        return SourceError(
            f"the database is damaged: {text}",
            where=str(path),
            fix="Restore it from a copy, or recover what is left with `sqlite3 opencode.db .recover`.",
        )
    if "unable to open" in text or "readonly" in text:
        return SourceError(
            "the database cannot be opened for reading",
            where=str(path),
            fix="Its folder may be read-only while a write-ahead log waits: start and leave opencode once.",
        )
    return SourceError(f"the database cannot be read: {text}", where=str(path), fix=_OTHER)
