"""Taking a source's sessions into the workspace: only what is new or changed, once a store was read to its end."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.sources.model import Session
from lora_tui.sources.registry import ChangedMeanwhile, Describing, Opened, Quarantined, Store, source
from lora_tui.sources.spool import CannotKeep, Spool
from lora_tui.sources.unread import closed_folder
from lora_tui.workspace.errors import LoraTuiError, SourceError
from lora_tui.workspace.layout import Workspace

Progress = Callable[[int, int, str], None]  # sessions done, sessions in all, what is being read

_ATTEMPTS = 4


class StoreReport(msgspec.Struct, frozen=True):
    """What was found in one store."""

    where: str
    generations: tuple[str, ...]
    sessions: int  # without those that another store has as well or better
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

    Of a session in several stores the best copy is kept, whichever is read first, and it counts once. A store that
    fails leaves the workspace as it was. Raises its SourceError when no store could be read, else the report lists it.
    After an interrupt each session is whole, as it was or as it is. Sessions that vanished at the source are kept.
    """
    taken: dict[str, _Taken] = {}
    read: list[_Read] = []
    failures: list[Failure] = []
    first: SourceError | None = None
    for store in _stores(name, paths):
        try:
            read.append(_one_store(workspace, store, taken, progress or (lambda *_: None)))
        except SourceError as error:
            first = first or error
            failures.append(Failure(error.where or store.where, error.what, error.fix))
    if first is not None and not read:
        raise first
    return IngestReport(source=name, stores=[_report(store, taken) for store in read], failures=failures)


def _stores(name: str, paths: Sequence[Path]) -> list[Store]:
    try:
        return source(name).stores(paths)
    except OSError as error:
        raise closed_folder(error) from error


class _Taken(msgspec.Struct, frozen=True):
    """What became of a session in this ingest, and through which store."""

    where: str
    outcome: Literal["new", "changed", "unchanged"]
    messages: int = 0


class _Read(msgspec.Struct, frozen=True):
    """A store that was read to its end."""

    where: str
    generations: tuple[str, ...]
    quarantined: list[Quarantined]


def _one_store(workspace: Workspace, store: Store, taken: dict[str, _Taken], progress: Progress) -> _Read:
    """Read one store, again from the start while somebody writes to it under our eyes, then store what it gave."""
    workspace.ensure()
    for _ in range(_ATTEMPTS):
        mine = dict(taken)
        with _storing(workspace), closing(Spool(workspace.root)) as spool:
            try:
                with store.reading() as opened:  # its last word, on closing, may be that what was read is torn
                    read = _read(workspace, store, opened, spool, mine, progress)
            except ChangedMeanwhile:
                continue
            except OSError as error:
                raise SourceError(
                    f"the history cannot be read: {error}", where=store.where, fix="Check its permissions."
                ) from error
            spool.store(workspace)
        taken.update(mine)
        return read
    raise SourceError(
        "the history changes faster than it can be read",
        where=store.where,
        fix="Wait until the agent is idle, then try again.",
    )


@contextmanager
def _storing(workspace: Workspace) -> Iterator[None]:
    """Errors of the workspace's disk; those of a source come as SourceError."""
    try:
        yield
    except (sqlite3.Error, OSError, CannotKeep) as error:
        raise LoraTuiError(
            f"the sessions cannot be stored: {error}",
            where=str(workspace.database),
            fix="Free some space and try again; what is stored so far is whole.",
        ) from error


def _read(
    workspace: Workspace, store: Store, opened: Opened, spool: Spool, taken: dict[str, _Taken], progress: Progress
) -> _Read:
    """Put what is new or changed into the spool, and what becomes of each session into `taken`."""
    quarantined: list[Quarantined] = []
    sessions = {session.native_id: session for session in opened.sessions(quarantined.append)}
    for number, session in enumerate(sessions.values()):
        progress(number, len(sessions), session.title)
        if _is_due(workspace, store, session, taken):
            whole = opened.described(session, quarantined.append) if isinstance(opened, Describing) else (session,)
            for one in whole:
                if one is session or _is_due(workspace, store, one, taken):
                    is_new = _is_new(workspace, one, taken)
                    messages = spool.add(one, opened.messages(one, quarantined.append))
                    taken[one.native_id] = _Taken(store.where, "new" if is_new else "changed", messages)
    progress(len(sessions), len(sessions), "")
    return _Read(where=store.where, generations=opened.generations, quarantined=quarantined)


def _is_due(workspace: Workspace, store: Store, session: Session, taken: dict[str, _Taken]) -> bool:
    """Whether a session is to be read; one that is not is noted as unchanged."""
    known = workspace.connection().execute(_KNOWN, (session.source, session.native_id)).fetchone()
    if known is None or _replaces(session, *known):
        return True
    if session.native_id not in taken or session.origin == known[0]:
        taken[session.native_id] = _Taken(store.where, "unchanged")
    return False


def _is_new(workspace: Workspace, session: Session, taken: dict[str, _Taken]) -> bool:
    before = taken.get(session.native_id)
    known = workspace.connection().execute(_KNOWN, (session.source, session.native_id)).fetchone()
    return known is None or (before is not None and before.outcome == "new")


def _replaces(session: Session, origin: str, fingerprint: str, updated: int) -> bool:
    """Whether what the source has should replace what is stored.

    From the same place any difference counts: clocks are corrected and copies restored. Of copies in different places
    the better format, then the later change; between equals what is stored stays.
    """
    if session.fingerprint == fingerprint:
        return False
    return session.origin == origin or (_rank(session.fingerprint), session.updated) > (_rank(fingerprint), updated)


def _rank(fingerprint: str) -> int:
    """How good the format of a copy is: the number before its fingerprint's colon."""
    rank, _, _ = fingerprint.partition(":")
    return int(rank) if rank.isdecimal() else 0


def _report(store: _Read, taken: dict[str, _Taken]) -> StoreReport:
    mine = [one for one in taken.values() if one.where == store.where]
    outcomes = Counter(one.outcome for one in mine)
    return StoreReport(
        where=store.where,
        generations=store.generations,
        sessions=len(mine),
        new=outcomes["new"],
        changed=outcomes["changed"],
        unchanged=outcomes["unchanged"],
        messages=sum(one.messages for one in mine),
        quarantined=store.quarantined,
    )


_KNOWN = "SELECT origin, fingerprint, updated FROM session WHERE source = ? AND native_id = ?"
