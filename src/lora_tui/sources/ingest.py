"""Taking a source's sessions into the workspace: only what is new or changed, one transaction per store."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from lora_tui.sources.model import Message, Session
from lora_tui.sources.registry import ChangedMeanwhile, Opened, Quarantined, Store, source
from lora_tui.workspace.errors import LoraTuiError, SourceError
from lora_tui.workspace.layout import Workspace

Progress = Callable[[int, int, str], None]  # sessions done, sessions in all, what is being read

_ATTEMPTS = 4
_encoder = msgspec.json.Encoder()


class StoreReport(msgspec.Struct, frozen=True):
    """What was found in one store."""

    where: str
    generations: tuple[str, ...]
    sessions: int  # read here; without those that another store has newer
    new: int
    changed: int
    unchanged: int  # their conversations were not read again
    messages: int  # written
    quarantined: list[Quarantined]


class Failure(msgspec.Struct, frozen=True):
    """A store that could not be read while others could."""

    where: str
    what: str
    fix: str


class IngestReport(msgspec.Struct, frozen=True):
    """What an ingest did."""

    source: str
    stores: list[StoreReport]
    failures: list[Failure]

    @property
    def sessions(self) -> int:
        """Different sessions seen."""
        return sum(store.sessions for store in self.stores)

    @property
    def new(self) -> int:
        """Sessions that were not there before."""
        return sum(store.new for store in self.stores)

    @property
    def changed(self) -> int:
        """Sessions that were read again."""
        return sum(store.changed for store in self.stores)

    @property
    def unchanged(self) -> int:
        """Sessions that were left as they are, without reading their conversations."""
        return sum(store.unchanged for store in self.stores)

    @property
    def messages(self) -> int:
        """Messages written."""
        return sum(store.messages for store in self.stores)

    @property
    def quarantined(self) -> list[Quarantined]:
        """Rows that could not be understood."""
        return [row for store in self.stores for row in store.quarantined]


def ingest(
    workspace: Workspace, name: str, paths: Sequence[Path] = (), progress: Progress | None = None
) -> IngestReport:
    """Take in the sessions of source `name` from `paths`, or from where the program keeps them.

    A store that fails leaves the workspace as it was. Raises its SourceError when no store could be read, else the
    report lists it. An interrupt rolls the current store back. Sessions that vanished at the source are kept.
    """
    stores = source(name).stores(paths)
    seen: set[str] = set()
    reports: list[StoreReport] = []
    failures: list[Failure] = []
    first: SourceError | None = None
    for store in stores:
        try:
            reports.append(_one_store(workspace, store, seen, progress or (lambda *_: None)))
        except SourceError as error:
            first = first or error
            failures.append(Failure(error.where or store.where, error.what, error.fix))
    if first is not None and not reports:
        raise first
    return IngestReport(source=name, stores=reports, failures=failures)


def _one_store(workspace: Workspace, store: Store, seen: set[str], progress: Progress) -> StoreReport:
    """Read one store, again from the start while somebody writes to it under our eyes."""
    for _ in range(_ATTEMPTS):
        mine = set(seen)
        try:
            # The store closes first: what it then says about torn reads still rolls the transaction back.
            with workspace.transaction() as connection, store.reading() as opened:
                report = _Taking(connection, store.where, mine, progress).all(opened)
        except ChangedMeanwhile:
            continue
        except sqlite3.Error as error:
            raise LoraTuiError(
                f"the sessions cannot be stored: {error}",
                where=str(workspace.database),
                fix="Free some space and try again; the workspace is as it was.",
            ) from error
        seen |= mine
        return report
    raise SourceError(
        "the history changes faster than it can be read",
        where=store.where,
        fix="Wait until the agent is idle, then try again.",
    )


class _Taking:
    """One store on its way into the workspace."""

    def __init__(self, connection: sqlite3.Connection, where: str, seen: set[str], progress: Progress) -> None:
        self._connection = connection
        self._where = where
        self._seen = seen
        self._progress = progress
        self._quarantined: list[Quarantined] = []

    def all(self, opened: Opened) -> StoreReport:
        sessions = [session for session in opened.sessions(self._quarantined.append) if self._first_time(session)]
        done: Counter[str] = Counter()
        messages = 0
        for number, session in enumerate(sessions):
            self._progress(number, len(sessions), session.title)
            known = self._connection.execute(_KNOWN, (session.source, session.native_id)).fetchone()
            if known is not None and not _is_newer(session, *known[1:]):
                done["unchanged"] += 1
                continue
            done["changed" if known else "new"] += 1
            messages += self._store(session, known[0] if known else None, opened)
        self._progress(len(sessions), len(sessions), "")
        return StoreReport(
            where=self._where,
            generations=opened.generations,
            sessions=len(sessions),
            new=done["new"],
            changed=done["changed"],
            unchanged=done["unchanged"],
            messages=messages,
            quarantined=self._quarantined,
        )

    def _first_time(self, session: Session) -> bool:
        if session.native_id in self._seen:
            return False
        self._seen.add(session.native_id)
        return True

    def _store(self, session: Session, identity: int | None, opened: Opened) -> int:
        """Write one session with its messages; returns how many."""
        if identity is None:
            identity = self._connection.execute(_INSERT, _columns(session)).lastrowid
            assert identity is not None
        else:
            self._connection.execute(_UPDATE, (*_columns(session)[2:], identity))
            self._connection.execute("DELETE FROM message WHERE session_id = ?", (identity,))
        notes = _Notes()
        rows = notes.bodies(identity, opened.messages(session, self._quarantined.append))
        self._connection.executemany("INSERT INTO message (session_id, seq, body) VALUES (?, ?, ?)", rows)
        self._connection.execute(
            "UPDATE session SET messages = ?, agent = coalesce(nullif(agent, ''), ?), model = ? WHERE id = ?",
            (notes.count, notes.agent, notes.main_model() or session.model, identity),
        )
        return notes.count


class _Notes:
    """What a session row says about its messages, gathered while they stream by."""

    def __init__(self) -> None:
        self.count = 0
        self.agent = ""
        self._models: Counter[str] = Counter()

    def bodies(self, identity: int, messages: Iterator[Message]) -> Iterator[tuple[int, int, bytes]]:
        for message in messages:
            yield identity, self.count, _encoder.encode(message)
            self.count += 1
            self.agent = self.agent or message.about.agent
            if message.about.model:
                self._models[message.about.model] += 1

    def main_model(self) -> str:
        return self._models.most_common(1)[0][0] if self._models else ""


def _is_newer(session: Session, fingerprint: str, updated: int) -> bool:
    """Whether what the source has should replace what is stored.

    The number before a fingerprint's colon says how good a copy is: of one session in several formats the best is
    kept, of one in several files the one that was changed last.
    """
    if session.fingerprint == fingerprint:
        return False
    rank, stored = _rank(session.fingerprint), _rank(fingerprint)
    return (rank, session.updated) >= (stored, updated)


def _rank(fingerprint: str) -> int:
    rank, _, _ = fingerprint.partition(":")
    return int(rank) if rank.isdecimal() else 0


def _columns(session: Session) -> tuple[object, ...]:
    return (
        session.source,
        session.native_id,
        session.parent or None,
        session.title,
        session.directory,
        session.agent,
        session.version,
        session.created,
        session.updated,
        session.origin,
        session.fingerprint,
    )


_KNOWN = "SELECT id, fingerprint, updated FROM session WHERE source = ? AND native_id = ?"

_INSERT = """
INSERT INTO session (source, native_id, parent, title, directory, agent, version, created, updated, origin, fingerprint,
                     messages)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
"""

_UPDATE = """
UPDATE session SET parent = ?, title = ?, directory = ?, agent = ?, version = ?, created = ?, updated = ?, origin = ?,
                   fingerprint = ?
WHERE id = ?
"""
