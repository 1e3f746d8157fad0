"""Reading sessions of 2.x: the tables session_v2 and session_message, one row per message.

Memory: the ids of one session's messages, and one message.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from lora_tui.sources.model import Message, Session
from lora_tui.sources.opencode import tables
from lora_tui.sources.opencode.conversation_v2 import ConversationV2
from lora_tui.sources.opencode.database import Revert
from lora_tui.sources.registry import Quarantine, Quarantined

RANK = 3

_MESSAGES = "SELECT id, type, time_created FROM session_message WHERE session_id = ? ORDER BY seq"
_DATA = "SELECT CAST(data AS BLOB) FROM session_message WHERE id = ?"


class V2Reader:
    """The sessions of one open database."""

    def __init__(self, connection: sqlite3.Connection, where: str) -> None:
        self._connection = connection
        self._where = where
        self._reverted: dict[str, str] = {}

    def sessions(self, quarantine: Quarantine) -> list[Session]:
        """Every session; its fingerprint needs no row's `data`."""
        messages = tables.changes(self._connection, "session_message")
        found = []
        for row in tables.session_rows(self._connection, "session_v2", ("version", "revert")):
            try:
                undone = msgspec.json.decode(row["revert"], type=Revert | None) if row["revert"] else None
                reverted = undone.messageID if undone is not None else ""
                seen = (row["time_updated"], messages.get(row["id"]), reverted)
                session = tables.session(row, self._where, f"{RANK}:{tables.digest(seen)}")
            except msgspec.MsgspecError as error:
                quarantine(Quarantined(self._where, "session", str(row["id"]), str(error), str(row["id"])))
                continue
            self._reverted[session.native_id] = reverted
            found.append(session)
        return found

    def messages(self, session: Session, quarantine: Quarantine) -> Iterator[Message]:
        """One session's conversation in order."""
        conversation = ConversationV2(self._reverted.get(session.native_id, ""))
        for native_id, kind, created in self._connection.execute(_MESSAGES, (session.native_id,)).fetchall():
            try:
                (text,) = self._connection.execute(_DATA, (native_id,)).fetchone()
                yield from conversation.add(native_id, created, kind, text)
            except (msgspec.DecodeError, sqlite3.DataError, TypeError) as error:
                quarantine(Quarantined(self._where, "message", native_id, str(error), session.native_id))
