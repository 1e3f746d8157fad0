"""Aider as a source: its history files, each with all the chats that were had in one repository."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lora_tui.sources import files
from lora_tui.sources.aider import conversation, places
from lora_tui.sources.iso_time import milliseconds
from lora_tui.sources.model import Message, Session
from lora_tui.sources.registry import ChangedMeanwhile, Opened, Preview, Quarantine, Quarantined, Store
from lora_tui.sources.unread import Unread
from lora_tui.workspace.errors import SourceError

READER = 1  # raised when the same text would be read differently

_HEADING = re.compile(rb"# aider chat started at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\s*")
_BLOCK = 1 << 20  # bytes of a line that are read at once
_LARGEST = 64 * 1024**2  # bytes of one chat
_TITLE = 80  # characters
_DEEP = 8  # levels below a folder that a person names
_LONG = 60.0  # seconds
_FIX = f"Give a history file ({places.NAME}), or a folder in which to look for them."


class Aider:
    """The registered source."""

    name = "aider"

    def stores(self, paths: Sequence[Path]) -> list[Store]:
        """One store per history file. Raises SourceError when there is none."""
        if not paths:
            found = [*places.around(Path.cwd())]
            cut = _gather(Path.home(), places.DEPTH, places.SECONDS, found)
            if not found and not cut:
                raise SourceError(
                    "Aider has no history in this folder, nor in repositories below your home",
                    where=str(Path.home()),
                    fix="Give the path of a repository: lora-tui ingest aider PATH.",
                )
            return [*map(History, files.once(found)), *([_unsearched(Path.home())] if cut else [])]
        return [store for path in files.once(paths) for store in _at(path.absolute())]


def _gather(folder: Path, depth: int, seconds: float, found: list[Path]) -> bool:
    """Add the histories below a folder to `found`; whether the time was too short for all."""
    try:
        for path in places.below(folder, depth, seconds):
            found.append(path)  # noqa: PERF402 – what came before OutOfTime counts
    except places.OutOfTime:
        return True
    return False


def _at(path: Path) -> list[Store]:
    if path.is_dir():
        found: list[Path] = []
        cut = _gather(path, _DEEP, _LONG, found)
        if not found and not cut:
            raise SourceError("there is no history of Aider in this folder", where=str(path), fix=_FIX)
        return [*map(History, found), *([_unsearched(path)] if cut else [])]
    if not path.is_file():
        raise SourceError("there is no such file", where=str(path), fix=_FIX)
    try:
        with path.open("rb") as file:
            known = path.name == places.NAME or any(map(_HEADING.fullmatch, file.read(_BLOCK).splitlines()))
    except OSError as error:
        raise SourceError(
            f"the file cannot be read: {error.strerror}", where=str(path), fix="Check its permissions."
        ) from error
    if not known:
        raise SourceError("this is no history of Aider", where=str(path), fix=_FIX)
    return [History(path)]


def _unsearched(folder: Path) -> Unread:
    """What is left of a folder when the time for searching it is over."""
    return Unread(
        SourceError(
            "the search for Aider's histories took too long and was stopped",
            where=str(folder),
            fix="Give the repositories: lora-tui ingest aider PATH…",
        )
    )


class History:
    """One history file."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    def preview(self) -> Preview:
        """The number of chats is known only once the file is read."""
        return Preview(None, files.state(self._path).size)

    @contextmanager
    def reading(self) -> Iterator[Opened]:
        """Chats are only appended; a file that became shorter meanwhile is read again."""
        yield _OpenedHistory(self._path)


class _Chat(NamedTuple):
    """Where a chat lies in the file."""

    started: str
    offset: int
    length: int
    digest: str


class _OpenedHistory:
    generations: tuple[str, ...] = ("markdown",)

    def __init__(self, path: Path) -> None:
        self._path = path
        self._chats: dict[str, _Chat] = {}

    def sessions(self, quarantine: Quarantine) -> list[Session]:
        """Every chat in which something was asked. The file is read to find them; a chat's text is its fingerprint."""
        found: list[Session] = []
        chats = list(_chats(self._path))
        changed = files.state(self._path).changed // 1_000_000
        ends = [*(milliseconds(chat.started) for chat in chats[1:]), changed]
        for chat, end in zip(chats, ends, strict=False):
            if chat.length > _LARGEST:
                reason = f"the chat is longer than {_LARGEST // 1024**2} MiB"
                quarantine(Quarantined(self._path.name, "session", chat.started, reason))
                continue
            session = self._session(chat, end)
            if session is not None:
                self._chats[session.native_id] = chat
                found.append(session)
        return found

    def messages(self, session: Session, quarantine: Quarantine) -> Iterator[Message]:
        """One chat."""
        text = self._text(self._chats[session.native_id])
        if "\ufffd" in text:
            quarantine(
                Quarantined(str(self._path), "part", session.native_id, "bytes that are not UTF-8", session.native_id)
            )
        return conversation.messages(text, session.native_id, session.created)

    def _session(self, chat: _Chat, end: int) -> Session | None:
        text = self._text(chat)
        asked = conversation.first_request(text)
        if not asked:
            return None
        created = milliseconds(chat.started)
        native_id = self._native_id(chat.started, asked)
        return Session(
            source=Aider.name,
            native_id=native_id,
            title=" ".join(asked.split())[:_TITLE],
            directory=str(self._path.parent),
            version=conversation.version(text),
            created=created,
            updated=max(created, end),
            origin=str(self._path),
            fingerprint=f"1:{READER}:{chat.digest}",
        )

    def _native_id(self, started: str, asked: str) -> str:
        """The same wherever the repository is moved to: its folder's name, the time, and what was asked first."""
        seen = hashlib.blake2b(repr((self._path.parent.name, started, asked)).encode(), digest_size=4).hexdigest()
        name = f"aider-{re.sub('[^0-9]', '', started)}-{seen}"
        while name in self._chats:  # two within one second
            name += "+"
        return name

    def _text(self, chat: _Chat) -> str:
        with self._path.open("rb") as file:
            file.seek(chat.offset)
            text = file.read(chat.length)
        if len(text) < chat.length:
            raise ChangedMeanwhile
        return text.decode(errors="replace").replace("\r\n", "\n")


def _chats(path: Path) -> Iterator[_Chat]:
    """The chats of a file, in flat memory. A heading stands after an empty line, or first."""
    started, begun, offset = "", 0, 0
    digest = hashlib.blake2b(digest_size=8)
    after_empty = True
    with path.open("rb") as file:
        while line := file.readline(_BLOCK):
            heading = _HEADING.fullmatch(line) if after_empty else None
            if heading:
                if started:
                    yield _Chat(started, begun, offset - begun, digest.hexdigest())
                started, begun = heading[1].decode(), offset
                digest = hashlib.blake2b(digest_size=8)
            digest.update(line)
            offset += len(line)
            after_empty = not line.strip()
    if started:
        yield _Chat(started, begun, offset - begun, digest.hexdigest())
