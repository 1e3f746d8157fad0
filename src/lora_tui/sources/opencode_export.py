"""opencode's exports as a source: what `opencode export SESSION > FILE` prints, one session a file.

A session has the same id in an export and in a database, so both are copies of one session of the source `opencode`:
its labels stay, whichever is read. Both hold the same rows and are equals; the copy that was changed later is kept.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from lora_tui.sources import files
from lora_tui.sources.model import Message, Session
from lora_tui.sources.opencode import tables
from lora_tui.sources.opencode.conversation import Conversation
from lora_tui.sources.opencode.database import RANK, Lost
from lora_tui.sources.opencode.rows import MessageData, PartData, decode, message_data, part_data
from lora_tui.sources.opencode.source import Opencode
from lora_tui.sources.opencode.storage import SessionFile
from lora_tui.sources.registry import KeptNowhere, Opened, Quarantine, Quarantined, Store
from lora_tui.workspace.errors import SourceError

READER = 1  # raise it when the same file would be read differently; tables.READER counts too

_BEGINNING = re.compile(rb'\s*\{\s*"info"\s*:\s*\{')
_DAMAGED = (msgspec.DecodeError, UnicodeDecodeError)  # a wrong byte inside a text is not a DecodeError
_SANITIZED = "[redacted:session-"  # how `--sanitize` replaces a session's title and directory
_USAGE = "Give what opencode printed: opencode export SESSION > FILE, then lora-tui ingest opencode-export FILE."
_AGAIN = "Export it again: opencode export SESSION > FILE."


class Info(SessionFile, frozen=True):
    """The session: what storage/session/<project>/<id>.json holds, and since 1.14 its agent and model."""

    agent: str | None = None
    model: tables.SessionModel | None = None


class Exported(msgspec.Struct, frozen=True):
    """One message with its parts, each to be understood alone."""

    info: msgspec.Raw
    parts: list[msgspec.Raw]


class Export(msgspec.Struct, frozen=True):
    """The document."""

    info: Info
    messages: list[Exported]


_export = msgspec.json.Decoder(Export)


class OpencodeExport:
    """The registered source."""

    name = "opencode-export"

    def stores(self, paths: Sequence[Path]) -> list[Store]:
        """One store per file; a folder stands for the exports in it, other JSON there is left alone."""
        if not paths:
            raise KeptNowhere("opencode's exports have no place of their own", fix=_USAGE)
        found: list[Path] = []
        for path in map(Path.absolute, paths):
            found += _in_folder(path) if path.is_dir() else [path]
        return [ExportFile(path) for path in files.once(found)]


class ExportFile:
    """One file."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    @contextmanager
    def reading(self) -> Iterator[Opened]:
        """Read all of it at once. Raises SourceError when it does not even begin as an export."""
        if not self._path.is_file():
            raise SourceError("there is no such file", where=self.where, fix=_USAGE)
        data = self._path.read_bytes()
        if not _BEGINNING.match(data):
            raise SourceError("this is no export of opencode", where=self.where, fix=_USAGE)
        yield OpenedExport(self.where, data)


class OpenedExport:
    """One session, decoded message by message."""

    generations: tuple[str, ...] = ("export",)

    def __init__(self, where: str, data: bytes) -> None:
        self._where = where
        self._data = data
        self._exports: dict[str, Export] = {}  # by native id: the one of this file, once it was understood

    def sessions(self, quarantine: Quarantine) -> list[Session]:
        """The session of the file. Raises SourceError when it is damaged or sanitized.

        Its fingerprint is made of the file's content: the same wherever it lies and whenever it was copied.
        """
        export = _understood(self._data, self._where)
        info, model = export.info, export.info.model
        self._exports[info.id] = export
        content = hashlib.blake2b(self._data).hexdigest()
        return [
            Session(
                source=Opencode.name,
                native_id=info.id,
                parent=info.parentID or "",
                title=info.title,
                directory=info.directory,
                version=info.version,
                agent=info.agent or "",
                model=f"{model.providerID}/{model.id}" if model is not None and model.id else "",
                created=int(info.time.created),
                updated=int(info.time.updated or info.time.created),
                origin=self._where,
                fingerprint=f"{RANK}:{tables.digest((READER, content))}",
            )
        ]

    def messages(self, session: Session, quarantine: Quarantine) -> Iterator[Message]:
        """The conversation in order: by time, then by id."""

        def lost(kind: str, native_id: str, reason: object) -> None:
            quarantine(Quarantined(self._where, kind, native_id, str(reason), session.native_id))

        export = self._exports[session.native_id]
        revert = export.info.revert
        conversation = Conversation(revert.messageID if revert is not None else "")
        for data, parts in sorted(_known(export, lost), key=lambda one: (one[0].time.created, one[0].id)):
            yield from conversation.add(data.id, int(data.time.created), data, _parts(data.id, parts, lost))


def _in_folder(folder: Path) -> list[Path]:
    """The files directly in a folder that begin as an export does."""
    found = [path for path in sorted(folder.glob("*.json")) if path.is_file() and _begins_as_export(path)]
    if not found:
        raise SourceError("there are no exports of opencode in this folder", where=str(folder), fix=_USAGE)
    return found


def _begins_as_export(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _BEGINNING.match(file.read(200)) is not None
    except OSError:
        return True  # nobody knows; its store fails, and the others are read


def _understood(data: bytes, where: str) -> Export:
    """The document. Raises SourceError when it is damaged, and when its texts were taken out."""
    try:
        export = decode(_export, data)
    except (*_DAMAGED, RecursionError) as error:
        raise SourceError(f"the export cannot be understood: {error}", where=where, fix=_AGAIN) from None
    if export.info.title.startswith(_SANITIZED) or export.info.directory.startswith(_SANITIZED):
        raise SourceError(
            "the export was made with --sanitize: every text in it is replaced, nothing is left to learn from",
            where=where,
            fix="Export it again without it: opencode export SESSION > FILE.",
        )
    return export


def _known(export: Export, lost: Lost) -> Iterator[tuple[MessageData, list[msgspec.Raw]]]:
    """The messages that can be understood."""
    for number, message in enumerate(export.messages, 1):
        try:
            data = message_data(bytes(message.info))
        except _DAMAGED as error:
            lost("message", f"number {number}", error)
            continue
        if data.role in ("user", "assistant"):
            yield data, message.parts
        else:
            lost("message", data.id or f"number {number}", f"unknown role {data.role!r}")


def _parts(message: str, parts: list[msgspec.Raw], lost: Lost) -> Iterator[tuple[str, PartData]]:
    """A message's parts in the order of their ids."""
    known: list[PartData] = []
    for number, part in enumerate(parts, 1):
        try:
            known.append(part_data(_compact(part)))
        except _DAMAGED as error:
            lost("part", f"{message} number {number}", error)
    return iter(sorted(((part.id, part) for part in known), key=lambda one: one[0]))


def _compact(part: msgspec.Raw) -> bytes:
    """The file is indented; what was sent (a tool call's arguments) was not. Raises one of _DAMAGED."""
    return msgspec.json.format(bytes(part).decode(), indent=-1).encode()
