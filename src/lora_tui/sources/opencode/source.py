"""opencode as a source: its databases and JSON folders, each opened and read in the generation it is written in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lora_tui.sources.model import Message, Session
from lora_tui.sources.opencode import discover, tables
from lora_tui.sources.opencode.database import V1Reader
from lora_tui.sources.opencode.database_v2 import V2Reader
from lora_tui.sources.opencode.opening import explained, reading
from lora_tui.sources.opencode.storage import StorageReader
from lora_tui.sources.registry import Opened, Quarantine, Store
from lora_tui.workspace.errors import SourceError


class Opencode:
    """The registered source."""

    name = "opencode"

    def stores(self, paths: Sequence[Path]) -> list[Store]:
        """Databases first: sessions that a start of opencode has moved there are not read again from JSON."""
        databases, storages = discover.places(paths)
        return [*(Database(path) for path in databases), *(Storage(path) for path in storages)]


class Storage:
    """A folder of JSON files."""

    def __init__(self, folder: Path) -> None:
        self.where = str(folder)
        self._folder = folder

    @contextmanager
    def reading(self) -> Iterator[Opened]:
        """Nothing to hold open: each file is read when its turn comes."""
        yield StorageReader(self._folder)


class Database:
    """A database file, which may hold two generations at once."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    @contextmanager
    def reading(self) -> Iterator[Opened]:
        """Open it read-only. Raises SourceError when it is damaged, locked or not opencode's."""
        with reading(self._path) as connection:
            yield _OpenedDatabase(connection, self._path)


class _OpenedDatabase:
    """The union of a database's generations: a session that is in both is read from the newer."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._path = path
        with self._explained():
            self.generations = tables.generations(connection)
            known = self.generations or tables.is_opencode(connection)
        if not known:
            raise SourceError(
                "this SQLite database is not opencode's",
                where=str(path),
                fix="Give the path of opencode's database (opencode.db) or of its data folder.",
            )
        readers: dict[str, type[V1Reader | V2Reader]] = {tables.V2: V2Reader, tables.V1: V1Reader}
        self._readers = [readers[name](connection, str(path)) for name in self.generations]
        self._reader_of: dict[str, V1Reader | V2Reader] = {}

    def sessions(self, quarantine: Quarantine) -> list[Session]:
        found = []
        with self._explained():
            for reader in self._readers:
                for session in reader.sessions(quarantine):
                    if session.native_id not in self._reader_of:
                        self._reader_of[session.native_id] = reader
                        found.append(session)
        return found

    def messages(self, session: Session, quarantine: Quarantine) -> Iterator[Message]:
        with self._explained():
            yield from self._reader_of[session.native_id].messages(session, quarantine)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's errors about this database, told apart from those about the workspace's."""
        try:
            yield
        except sqlite3.Error as error:
            raise explained(error, self._path) from error
