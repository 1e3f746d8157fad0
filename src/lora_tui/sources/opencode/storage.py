"""Reading sessions of the JSON generation (up to 1.1): storage/session, storage/message, storage/part.

Memory: the names of one session's messages, and one message with its parts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from lora_tui.sources.model import Message, Session
from lora_tui.sources.opencode import tables
from lora_tui.sources.opencode.conversation import Conversation
from lora_tui.sources.opencode.database import Revert
from lora_tui.sources.opencode.rows import MessageData, PartData, Times, decode, message_data, part_data
from lora_tui.sources.registry import Quarantine, Quarantined

GENERATION = "json"
RANK = 1

_Read = TypeVar("_Read")
_SPACE = re.compile(rb'("(?:[^"\\]|\\.)*")|\s+')


class SessionTimes(Times, frozen=True):
    """Epoch milliseconds."""

    updated: float = 0


class SessionFile(msgspec.Struct, frozen=True):
    """storage/session/<project>/<id>.json."""

    id: str
    directory: str = ""
    title: str = ""
    version: str = ""
    parentID: str | None = None
    time: SessionTimes = SessionTimes()
    revert: Revert | None = None


_session = msgspec.json.Decoder(SessionFile)


class StorageReader:
    """The sessions below one storage folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reverted: dict[str, str] = {}
        self.generations: tuple[str, ...] = (GENERATION,)

    def sessions(self, quarantine: Quarantine) -> list[Session]:
        """Every session; its fingerprint is made of its files' sizes and times."""
        found = []
        for path in sorted((self._folder / "session").glob("*/*.json")):
            file = self._read(path, lambda text: decode(_session, text), "session", path.stem, quarantine)
            if file is None:
                continue
            reverted = file.revert.messageID if file.revert is not None else ""
            self._reverted[file.id] = reverted
            found.append(
                Session(
                    source="opencode",
                    native_id=file.id,
                    parent=file.parentID or "",
                    title=file.title,
                    directory=file.directory,
                    version=file.version,
                    created=int(file.time.created),
                    updated=int(file.time.updated or file.time.created),
                    origin=str(self._folder),
                    fingerprint=f"{RANK}:{tables.digest((self._seen(file.id), reverted))}",
                )
            )
        return sorted(found, key=lambda session: (session.created, session.native_id))

    def messages(self, session: Session, quarantine: Quarantine) -> Iterator[Message]:
        """One session's conversation in order: by time, then by id."""
        conversation = Conversation(self._reverted.get(session.native_id, ""))
        place = self._folder / "message" / session.native_id
        order: list[tuple[float, str]] = []
        for name in _names(place):
            data = self._message(place / name, session, quarantine)
            if data is not None:
                order.append((data.time.created, name))
        for created, name in sorted(order):
            data = self._message(place / name, session, lambda _: None)
            if data is not None:
                native_id = data.id or name.removesuffix(".json")
                yield from conversation.add(native_id, int(created), data, self._parts(native_id, session, quarantine))

    def _message(self, path: Path, session: Session, quarantine: Quarantine) -> MessageData | None:
        return self._read(path, _known_role, "message", session.native_id, quarantine)

    def _parts(self, message: str, session: Session, quarantine: Quarantine) -> Iterator[tuple[str, PartData]]:
        place = self._folder / "part" / message
        for name in _names(place):
            part = self._read(place / name, _compact_part, "part", session.native_id, quarantine)
            if part is not None:
                yield part.id or name.removesuffix(".json"), part

    def _seen(self, session: str) -> list[tuple[str, int, int]]:
        """Sizes and times of a session's files: what a change would change."""
        messages = self._folder / "message" / session
        seen = _states(messages)
        for name in _names(messages):
            seen += _states(self._folder / "part" / name.removesuffix(".json"))
        return seen

    def _read(
        self, path: Path, read: Callable[[bytes], _Read], kind: str, session: str, quarantine: Quarantine
    ) -> _Read | None:
        try:
            return read(path.read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            quarantine(Quarantined(str(path), kind, path.stem, str(error), session))
            return None


def _known_role(text: bytes) -> MessageData:
    data = message_data(text)
    if data.role not in ("user", "assistant"):
        raise msgspec.ValidationError(f"unknown role {data.role!r}")
    return data


def _compact_part(text: bytes) -> PartData:
    """The files are indented; what was sent (a tool call's arguments) was not."""
    return part_data(_SPACE.sub(lambda found: found[1] or b"", text))


def _names(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    except FileNotFoundError:
        return []


def _states(folder: Path) -> list[tuple[str, int, int]]:
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat()) for entry in entries]
    except FileNotFoundError:
        return []
    return sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)
