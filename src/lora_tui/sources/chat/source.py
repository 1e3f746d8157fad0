"""Chat files as a source: ShareGPT, OpenAI messages, ChatML, Alpaca, prompt/completion, interaction logs, our own.

One row is one session. Its id is the hash of its conversation: a file that grew or was put in another order brings
only what is new, and the same row in two files counts once.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from lora_tui.sources import files
from lora_tui.sources.chat import table
from lora_tui.sources.chat.conversation import Conversation, NotAChat
from lora_tui.sources.chat.formats import conversation
from lora_tui.sources.chat.rows import Row, rows
from lora_tui.sources.model import Message, Session
from lora_tui.sources.registry import ChangedMeanwhile, KeptNowhere, Opened, Quarantine, Quarantined, Store
from lora_tui.workspace.errors import SourceError

FORMAT = 1  # of what is made of a row: a higher number has every row made anew

_FILES = ("*.jsonl", "*.json", "*.jsonl.gz", "*.json.gz", "*.parquet")
_USAGE = "Give chat files: lora-tui ingest chat FILE.jsonl …"


class Chat:
    """The registered source."""

    name = "chat"

    def stores(self, paths: Sequence[Path]) -> list[Store]:
        """One store per file; a folder is a saved `datasets` folder, or stands for the chat files in it."""
        if not paths:
            raise KeptNowhere("chat files have no place of their own", fix=_USAGE)
        found: list[Path] = []
        for path in map(Path.absolute, paths):
            found += [path] if table.is_table(path) or not path.is_dir() else _in_folder(path)
        return [ChatFile(path) for path in files.once(found)]


def _in_folder(folder: Path) -> list[Path]:
    found = sorted({file for pattern in _FILES for file in folder.glob(pattern) if file.is_file()})
    if not found:
        raise SourceError(
            "there are no chat files in this folder",
            where=str(folder),
            fix="It may hold *.jsonl, *.json (also .gz) or *.parquet, or be a folder saved by `datasets`.",
        )
    return found


class ChatFile:
    """One file of rows, or one saved dataset."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    @contextmanager
    def reading(self) -> Iterator[Opened]:
        """Look which container it is. Raises SourceError when there is nothing, ChangedMeanwhile at the end."""
        path = self._path
        if not path.exists():
            raise SourceError("there is no such file", where=str(path), fix=_USAGE)
        if not path.is_file() and not table.is_table(path):
            raise SourceError("this is no file", where=str(path), fix="Save what it gives in a file, and give that.")
        before = files.state(path)
        opened = _OpenedFile(path, table.rows if table.is_table(path) else rows)
        try:
            yield opened
        finally:
            opened.close()
        if files.state(path) != before:
            raise ChangedMeanwhile


class _OpenedFile:
    """A file read forward: once for its sessions, and once more for those whose messages are wanted."""

    def __init__(self, path: Path, read: Callable[[Path], Iterator[Row]]) -> None:
        self._path = path
        self._read = read
        self._numbers: dict[str, int] = {}  # native id -> row
        self._cursor: Iterator[Row] = iter(())
        self._position = 1 << 62  # of the cursor's last row; so far behind every row
        self.generations: tuple[str, ...] = ()

    def close(self) -> None:
        """Let go of the file, or of the process that reads it."""
        close = getattr(self._cursor, "close", None)
        if close is not None:
            close()

    def sessions(self, quarantine: Quarantine) -> list[Session]:
        """Every different row that is a conversation; `generations` then says which formats there were, how often."""
        stat = self._path.stat()
        changed = stat.st_mtime_ns // 1_000_000
        found: list[Session] = []
        formats: Counter[str] = Counter()
        repeated = 0
        first_wrong = ""
        for row in self._read(self._path):
            try:
                said = conversation_of(row)
            except NotAChat as error:
                first_wrong = first_wrong or f"{row.kind} {row.number}: {error}"
                quarantine(Quarantined(self._where(row), row.kind, str(row.number), str(error)))
                continue
            formats[said.format] += 1
            session = session_of(said, str(self._path), changed)
            if session.native_id in self._numbers:
                repeated += 1
                continue
            self._numbers[session.native_id] = row.number
            found.append(session)
        if first_wrong and not found:
            raise SourceError(
                f"no row of it is a conversation; {first_wrong}",
                where=str(self._path),
                fix="Known: ShareGPT, messages, ChatML text, Alpaca, prompt/completion, interaction logs.",
            )
        self.generations = tuple(f"{name} ×{count}" for name, count in formats.most_common())
        if repeated:
            self.generations += (f"{repeated} repeated",)
        return found

    def messages(self, session: Session, quarantine: Quarantine) -> Iterator[Message]:
        """The messages of one row; quick when asked in the order of the file."""
        number = self._numbers[session.native_id]
        if number <= self._position:
            self.close()
            self._cursor, self._position = self._read(self._path), 0
        for row in self._cursor:
            self._position = row.number
            if row.number == number:
                yield from dated(conversation_of(row), session)
                return
        raise SourceError("the file changed while it was read", where=str(self._path), fix="Try again.")

    def _where(self, row: Row) -> str:
        return f"{self._path}:{row.number}" if row.kind == "line" else str(self._path)


def conversation_of(row: Row) -> Conversation:
    """What a row says. Raises NotAChat."""
    if row.problem:
        raise NotAChat(row.problem)
    try:
        return conversation(msgspec.json.decode(row.data))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise NotAChat(f"not JSON: {error}") from None
    except RecursionError:
        raise NotAChat("nested too deeply") from None


def session_of(said: Conversation, origin: str, changed: int) -> Session:
    """The session of a row; `changed` is its file's time in epoch milliseconds."""
    digest = hashlib.blake2b(msgspec.json.encode(said.content, order="sorted"), digest_size=12).hexdigest()
    return Session(
        source=Chat.name,
        native_id=f"row_{digest}",
        title=said.title,
        directory=str(Path(origin).parent),
        created=changed,
        updated=changed,
        origin=origin,
        fingerprint=f"{FORMAT}:{digest}",
        agent=said.agent,
        model=said.model,
    )


def dated(said: Conversation, session: Session) -> Iterator[Message]:
    """A row's messages with what is known of them: when, and which model wrote the answers."""
    for message in said.messages:
        model = said.model if message.role == "assistant" else ""
        about = msgspec.structs.replace(message.about, created=session.created, agent=said.agent, model=model)
        yield msgspec.structs.replace(message, about=about)
