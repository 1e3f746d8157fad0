"""Reading sessions of 1.2–1.18: the tables session, message and part.

Memory: the ids of one session's messages, and one message with its parts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from lora_tui.sources.model import Message, Session
from lora_tui.sources.opencode import tables
from lora_tui.sources.opencode.conversation import Conversation
from lora_tui.sources.opencode.rows import MessageData, PartData, message_data, part_data
from lora_tui.sources.registry import Quarantine, Quarantined

RANK = 2  # of the same session in several generations, the highest is read
_MESSAGES = "SELECT id, time_created FROM message WHERE session_id = ? ORDER BY time_created, id"
_DATA = "SELECT CAST(data AS BLOB) FROM message WHERE id = ?"
_PARTS = "SELECT id, CAST(data AS BLOB) FROM part WHERE message_id = ? ORDER BY id"
_PARTS_AFTER = "SELECT id FROM part WHERE message_id = ? AND id > ? ORDER BY id"
_PART = "SELECT CAST(data AS BLOB) FROM part WHERE id = ?"


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
        conversation = Conversation(self._reverted.get(session.native_id, ""))
        for native_id, created in self._connection.execute(_MESSAGES, (session.native_id,)).fetchall():
            data = self._message(native_id, session, quarantine)
            if data is not None:
                yield from conversation.add(native_id, created, data, self._parts(native_id, session, quarantine))

    def _message(self, native_id: str, session: Session, quarantine: Quarantine) -> MessageData | None:
        try:
            (text,) = self._connection.execute(_DATA, (native_id,)).fetchone()
            data = message_data(text)
            if data.role in ("user", "assistant"):
                return data
            reason = f"unknown role {data.role!r}"
        except (msgspec.DecodeError, sqlite3.DataError, TypeError) as error:
            reason = str(error)
        quarantine(Quarantined(self._where, "message", native_id, reason, session.native_id))
        return None

    def _parts(self, message: str, session: Session, quarantine: Quarantine) -> Iterator[tuple[str, PartData]]:
        last = ""
        try:
            for native_id, text in self._connection.execute(_PARTS, (message,)):
                last = native_id
                part = self._part(native_id, text, session, quarantine)
                if part is not None:
                    yield native_id, part
        except sqlite3.DataError:  # the next row is larger than SQLite was allowed to read: one by one from here
            for (native_id,) in self._connection.execute(_PARTS_AFTER, (message, last)).fetchall():
                try:
                    (text,) = self._connection.execute(_PART, (native_id,)).fetchone()
                except sqlite3.DataError as error:
                    quarantine(Quarantined(self._where, "part", native_id, str(error), session.native_id))
                    continue
                part = self._part(native_id, text, session, quarantine)
                if part is not None:
                    yield native_id, part

    def _part(self, native_id: str, text: bytes, session: Session, quarantine: Quarantine) -> PartData | None:
        try:
            return part_data(text)
        except (msgspec.DecodeError, TypeError) as error:
            quarantine(Quarantined(self._where, "part", native_id, str(error), session.native_id))
            return None
