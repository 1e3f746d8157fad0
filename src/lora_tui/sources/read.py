"""What the workspace holds of the sessions: rows for lists, messages for reading."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from lora_tui.sources.model import Message
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_decoder = msgspec.json.Decoder(Message)
_COLUMNS = (
    "id, source, native_id, coalesce(parent, ''), title, directory, coalesce(agent, ''), coalesce(model, ''), "
    "coalesce(version, ''), created, updated, origin, messages"
)


class SessionRow(msgspec.Struct, frozen=True):
    """One stored session; times are epoch milliseconds."""

    id: int
    source: str
    native_id: str
    parent: str
    title: str
    directory: str
    agent: str
    model: str
    version: str
    created: int
    updated: int
    origin: str
    messages: int


def sessions(workspace: Workspace, source: str = "", text: str = "", limit: int = -1) -> list[SessionRow]:
    """Stored sessions, newest first; only of one source, only with `text` in title or directory; -1: all."""
    rows = workspace.connection().execute(
        f"SELECT {_COLUMNS} FROM session WHERE (? = '' OR source = ?) "
        "AND (? = '' OR instr(lower(title || char(10) || directory), lower(?))) "
        "ORDER BY created DESC, id DESC LIMIT ?",
        (source, source, text, text, limit),
    )
    return [SessionRow(*row) for row in rows]


def count(workspace: Workspace) -> int:
    """How many sessions there are."""
    return int(workspace.connection().execute("SELECT count(*) FROM session").fetchone()[0])


def session(workspace: Workspace, native_id: str) -> SessionRow:
    """The session with this id, or with the only id that begins so. Raises BadInput for none and for several."""
    connection = workspace.connection()
    found = _matching(connection, "native_id = ?", native_id) or _matching(
        connection, "substr(native_id, 1, length(?1)) = ?1", native_id
    )
    if not native_id or not found:
        raise BadInput(f"there is no session {native_id!r}", fix="See them with: lora-tui sessions list.")
    if len(found) > 1:
        shown = ", ".join(row.native_id for row in found[:4])
        raise BadInput(f"{len(found)} sessions begin with {native_id!r}", fix=f"Give more of the id: {shown}, …")
    return found[0]


def children(workspace: Workspace, row: SessionRow) -> list[SessionRow]:
    """The sessions this one delegated work to, oldest first."""
    rows = workspace.connection().execute(
        f"SELECT {_COLUMNS} FROM session WHERE source = ? AND parent = ? ORDER BY created, id",
        (row.source, row.native_id),
    )
    return [SessionRow(*found) for found in rows]


def messages(
    workspace: Workspace, session_row_id: int, first_seq: int = 0, last_seq: int | None = None
) -> Iterator[Message]:
    """The messages first_seq … last_seq (both included) of a stored session, one at a time."""
    rows = workspace.connection().execute(
        "SELECT body FROM message WHERE session_id = ? AND seq >= ? AND seq <= ? ORDER BY seq",
        (session_row_id, first_seq, 2**62 if last_seq is None else last_seq),
    )
    for (body,) in rows:
        yield _decoder.decode(body)


def _matching(connection: sqlite3.Connection, condition: str, native_id: str) -> list[SessionRow]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM session WHERE {condition} ORDER BY created", (native_id,))
    return [SessionRow(*row) for row in rows]
