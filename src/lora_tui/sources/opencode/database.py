"""Reading sessions of 1.2–1.18: the tables session, message and part.

Memory: one message and one of its parts at a time, besides what the message itself keeps of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

import msgspec

from lora_tui.sources.model import Message, Session
from lora_tui.sources.opencode import tables
from lora_tui.sources.opencode.conversation import Conversation
from lora_tui.sources.opencode.rows import PartData, message_data, part_data
from lora_tui.sources.registry import Quarantine, Quarantined

RANK = 2  # of the same session in several generations, the highest is read
# Rows stream in index order. Where one is larger than SQLite was allowed to read (opening.LARGEST_ROW) its statement
# ends, and what comes after it is read one by one, so that only the large row is lost.
_MESSAGES = """
SELECT id, time_created, CAST(data AS BLOB) FROM message WHERE session_id = ? ORDER BY time_created, id
"""
_MESSAGES_AFTER = """
SELECT id, time_created FROM message WHERE session_id = ? AND (time_created, id) > (?, ?) ORDER BY time_created, id
"""
_MESSAGE = "SELECT CAST(data AS BLOB) FROM message WHERE id = ?"
_PARTS = "SELECT id, CAST(data AS BLOB) FROM part WHERE message_id = ? ORDER BY id"
_PARTS_AFTER = "SELECT id FROM part WHERE message_id = ? AND id > ? ORDER BY id"
_PART = "SELECT CAST(data AS BLOB) FROM part WHERE id = ?"


Lost = Callable[[str, str, object], None]  # kind, native id, reason


class Revert(msgspec.Struct, frozen=True):
    """`session.revert`: from this message on the user undid everything (with partID: from inside it)."""

    messageID: str = ""


class V1Reader:
    """The sessions of one open database."""

    def __init__(self, connection: sqlite3.Connection, where: str) -> None:
        self._connection = connection
        self._where = where
        self._reverted: dict[str, str] = {}

    def sessions(self, quarantine: Quarantine) -> list[Session]:
        """Every session; its fingerprint needs no row's `data`."""
        messages, parts = tables.changes(self._connection, "message"), tables.changes(self._connection, "part")
        found = []
        for row in tables.session_rows(self._connection, "session", ("version", "revert")):
            try:
                undone = msgspec.json.decode(row["revert"], type=Revert | None) if row["revert"] else None
                reverted = undone.messageID if undone is not None else ""
                native_id = row["id"]
                seen = (row["time_updated"], messages.get(native_id), parts.get(native_id), reverted)
                session = tables.session(row, self._where, f"{RANK}:{tables.digest(seen)}")
            except msgspec.MsgspecError as error:
                quarantine(Quarantined(self._where, "session", str(row["id"]), str(error), str(row["id"])))
                continue
            self._reverted[session.native_id] = reverted
            found.append(session)
        return found

    def messages(self, session: Session, quarantine: Quarantine) -> Iterator[Message]:
        """One session's conversation in order."""

        def lost(kind: str, native_id: str, reason: object) -> None:
            quarantine(Quarantined(self._where, kind, native_id, str(reason), session.native_id))

        conversation = Conversation(self._reverted.get(session.native_id, ""))
        for native_id, created, text in self._message_rows(session.native_id, lost):
            try:
                data = message_data(text)
            except (msgspec.DecodeError, TypeError) as error:
                lost("message", native_id, error)
                continue
            if data.role in ("user", "assistant"):
                yield from conversation.add(native_id, created, data, self._parts(native_id, lost))
            else:
                lost("message", native_id, f"unknown role {data.role!r}")

    def _parts(self, message: str, lost: Lost) -> Iterator[tuple[str, PartData]]:
        for native_id, text in self._part_rows(message, lost):
            try:
                part = part_data(text)
            except (msgspec.DecodeError, TypeError) as error:
                lost("part", native_id, error)
                continue
            yield native_id, part

    def _message_rows(self, session: str, lost: Lost) -> Iterator[tuple[str, int, bytes]]:
        last: tuple[int, str] = (-1, "")
        try:
            for row in self._connection.execute(_MESSAGES, (session,)):
                last = (row[1], row[0])
                yield row
        except sqlite3.DataError:
            for native_id, created in self._connection.execute(_MESSAGES_AFTER, (session, *last)).fetchall():
                text = self._alone(_MESSAGE, "message", native_id, lost)
                if text is not None:
                    yield native_id, created, text

    def _part_rows(self, message: str, lost: Lost) -> Iterator[tuple[str, bytes]]:
        last = ""
        try:
            for row in self._connection.execute(_PARTS, (message,)):
                last = row[0]
                yield row
        except sqlite3.DataError:
            for (native_id,) in self._connection.execute(_PARTS_AFTER, (message, last)).fetchall():
                text = self._alone(_PART, "part", native_id, lost)
                if text is not None:
                    yield native_id, text

    def _alone(self, query: str, kind: str, native_id: str, lost: Lost) -> bytes | None:
        try:
            text: bytes | None = self._connection.execute(query, (native_id,)).fetchone()[0]
        except sqlite3.DataError as error:
            lost(kind, native_id, error)
            return None
        return text
