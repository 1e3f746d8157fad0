"""Which tables and columns a database has: opencode's schema has grown for years, and old files stay as they were.

The only tables ever read are these: `event` repeats everything many times over, and others hold credentials.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec

from lora_tui.sources.model import Session

READER = 1

V1 = "sqlite"  # 1.2 – 1.18
V2 = "sqlite 2"  # 2.x

_SESSION = ("id", "parent_id", "directory", "title", "agent", "model", "time_created", "time_updated")

_NEEDED = {
    V1: {
        "session": {"id", "directory", "title", "time_created", "time_updated"},
        "message": {"id", "session_id", "time_created", "time_updated", "data"},
        "part": {"id", "message_id", "session_id", "time_updated", "data"},
    },
    V2: {
        "session_v2": {"id", "directory", "time_created", "time_updated"},
        "session_message": {"id", "session_id", "type", "seq", "time_created", "time_updated", "data"},
    },
}


class SessionModel(msgspec.Struct, frozen=True):
    """The `model` column of a session."""

    id: str = ""
    providerID: str = ""


def generations(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The generations whose tables this database has, newest first; both may stand side by side."""
    found = []
    for generation in (V2, V1):
        needed = _NEEDED[generation]
        if all(needed[table] <= columns(connection, table) for table in needed) and (
            generation == V1 or connection.execute("SELECT 1 FROM session_v2 LIMIT 1").fetchone()
        ):
            found.append(generation)
    return tuple(found)


def is_opencode(connection: sqlite3.Connection) -> bool:
    """Whether this is opencode's database at all, be it without a single session."""
    return any(all(tables[table] <= columns(connection, table) for table in tables) for tables in _NEEDED.values())


def columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """The column names of a table; empty when there is no such table."""
    return {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}


def session_rows(connection: sqlite3.Connection, table: str, extra: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """The session rows by column, oldest first; None for columns an older schema lacks."""
    wanted = (*_SESSION, *extra)
    have = columns(connection, table)
    names = ", ".join(name if name in have else f"NULL AS {name}" for name in wanted)
    connection.text_factory = lambda text: text.decode(errors="replace")  # one odd title must not stop the rest
    try:
        rows = connection.execute(f"SELECT {names} FROM {table} ORDER BY time_created, id").fetchall()
    finally:
        connection.text_factory = str
    return (dict(zip(wanted, row, strict=True)) for row in rows)


def session(row: dict[str, Any], where: str, fingerprint: str) -> Session:
    """A session row as a Session. Raises msgspec.MsgspecError when it cannot be one."""
    model = msgspec.json.decode(row["model"], type=SessionModel | None) if row["model"] else None
    return msgspec.convert(
        {
            "source": "opencode",
            "native_id": row["id"],
            "parent": row["parent_id"] or "",
            "title": row["title"] or "",
            "directory": row["directory"],
            "version": row.get("version") or "",
            "agent": row["agent"] or "",
            "model": f"{model.providerID}/{model.id}" if model is not None and model.id else "",
            "created": row["time_created"],
            "updated": row["time_updated"],
            "origin": where,
            "fingerprint": fingerprint,
        },
        Session,
    )


def changes(connection: sqlite3.Connection, table: str) -> dict[str, tuple[int, int, int]]:
    """Each session's rows in a table: their number, when the last was changed, and a sum that any change moves.

    Scans the table rather than its index: each page is read once, and no text that overflows its page.
    """
    rows = connection.execute(
        "SELECT session_id, count(*), max(time_updated), sum(time_updated & 0xffffffff) "
        f"FROM {table} NOT INDEXED GROUP BY session_id"
    )
    return {session: (number, last, total) for session, number, last, total in rows}


def digest(seen: object) -> str:
    """A short name for one state of a session; READER changes when the same rows would be read differently."""
    return hashlib.blake2b(repr((READER, seen)).encode(), digest_size=8).hexdigest()
