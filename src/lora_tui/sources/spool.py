"""Where a store's sessions wait until all of it is read: a file without a name in the workspace, one message a line.

The workspace's database is written to only then: a store that turns out damaged half-way leaves nothing behind, and
nobody who labels meanwhile waits for the reading.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from lora_tui.sources.model import Message, Session
from lora_tui.workspace.layout import Workspace

PART = 64 * 1024**2  # bytes of messages in one transaction: a fraction of a second
_PAUSE = 0.12  # seconds between two; who waits for SQLite's lock looks every 0.1 s

_encoder = msgspec.json.Encoder()


class CannotKeep(Exception):
    """The spool's disk failed; an OSError would look like one of the source that is read at the same time."""


class Spool:
    """Sessions with their messages, in the order they were added."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, prefix="ingest-", buffering=1 << 18)  # noqa: SIM115
        self._sessions: list[tuple[Session, int]] = []

    def close(self) -> None:
        """Drop the file."""
        self._file.close()

    def add(self, session: Session, messages: Iterator[Message]) -> int:
        """Keep a session, with the agent and the model that its messages name; returns how many there are.

        Raises CannotKeep when the disk is full, and what reading `messages` raises.
        """
        count = 0
        agent = session.agent
        models: Counter[str] = Counter()
        for message in messages:
            self._write(_encoder.encode(message) + b"\n")
            count += 1
            agent = agent or message.about.agent
            if message.about.model:
                models[message.about.model] += 1
        model = models.most_common(1)[0][0] if models else session.model
        self._sessions.append((msgspec.structs.replace(session, agent=agent, model=model), count))
        return count

    def store(self, workspace: Workspace) -> None:
        """Write everything into the workspace, each session whole. Raises OSError, sqlite3.Error, LoraTuiError.

        A large store takes several transactions, with time between them for others to write.
        """
        self._file.seek(0)
        rest = iter(self._sessions)
        session = next(rest, None)
        while session is not None:
            end = self._file.tell() + PART
            with workspace.transaction() as connection:
                while session is not None and self._file.tell() < end:
                    self._store_one(connection, *session)
                    session = next(rest, None)
            if session is not None:
                time.sleep(_PAUSE)

    def _store_one(self, connection: sqlite3.Connection, session: Session, count: int) -> None:
        (identity,) = connection.execute(_SESSION, (*_columns(session), count)).fetchone()
        connection.execute("DELETE FROM message WHERE session_id = ?", (identity,))
        bodies = ((identity, seq, line[:-1]) for seq, line in enumerate(islice(self._file, count)))
        connection.executemany("INSERT INTO message (session_id, seq, body) VALUES (?, ?, ?)", bodies)

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
        except OSError as error:
            raise CannotKeep(str(error)) from error


def _columns(session: Session) -> tuple[object, ...]:
    return (
        session.source,
        session.native_id,
        session.parent or None,
        session.title,
        session.directory,
        session.agent,
        session.model,
        session.version,
        session.created,
        session.updated,
        session.origin,
        session.fingerprint,
        session.licence,
    )


_SESSION = """
INSERT INTO session (source, native_id, parent, title, directory, agent, model, version, created, updated, origin,
                     fingerprint, licence, messages)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, native_id) DO UPDATE SET
    parent = excluded.parent, title = excluded.title, directory = excluded.directory, agent = excluded.agent,
    model = excluded.model, version = excluded.version, created = excluded.created, updated = excluded.updated,
    origin = excluded.origin, fingerprint = excluded.fingerprint, licence = excluded.licence,
    messages = excluded.messages
RETURNING id
"""
