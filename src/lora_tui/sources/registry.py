"""What a source is, and which there are. Adding one takes a module and a line in SOURCES."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from lora_tui.sources.model import Message, Session
from lora_tui.workspace.errors import BadInput, SourceError


class Registered(NamedTuple):
    """One line of the table: where the class is, and what a person reads about it."""

    place: str  # module:class; imported when the source is used
    line: str
    paths: str = ""  # what a PATH may be; shown by `lora-tui ingest NAME --help`


# In the order in which they are asked whether they know a path: those that take almost anything come last.
SOURCES = {
    "opencode": Registered(
        "lora_tui.sources.opencode.source:Opencode",
        "opencode: its databases and JSON folders.",
        "a database, a data folder or a storage folder",
    ),
    "claude-code": Registered(
        "lora_tui.sources.claude_code.source:ClaudeCode",
        "Claude Code: session files below ~/.claude/projects, subagents included.",
        "a session file, a project's folder or the projects folder",
    ),
    "codex": Registered(
        "lora_tui.sources.codex.source:Codex",
        "Codex CLI: rollout files below ~/.codex, compressed and archived ones too.",
        "a rollout file, or a folder of them",
    ),
    "aider": Registered(
        "lora_tui.sources.aider.source:Aider",
        "Aider: the chat histories in your repositories (up to four levels below your home).",
        "a history file (.aider.chat.history.md), or a folder in which to look for them",
    ),
    "opencode-export": Registered(
        "lora_tui.sources.opencode_export:OpencodeExport",
        "opencode's exports: what `opencode export` prints, one session a file.",
        "an exported file, or a folder of them",
    ),
    "chat": Registered(
        "lora_tui.sources.chat.source:Chat",
        "Chat files: ShareGPT, messages, ChatML, Alpaca, prompt/completion, interaction logs; JSON, JSONL, Parquet.",
        "a file, a folder of files, or a folder saved by `datasets`",
    ),
}


class Quarantined(msgspec.Struct, frozen=True):
    """One row that could not be understood; it was left out and everything else was read."""

    where: str  # the file
    kind: str  # 'session', 'message' or 'part'
    native_id: str
    reason: str
    session: str = ""  # native id of the session it belongs to


Quarantine = Callable[[Quarantined], None]


class KeptNowhere(SourceError):
    """A source that has no place of its own was asked without a PATH."""


class ChangedMeanwhile(Exception):
    """The store was written to while it was read without a lock: what was read may be torn, read it again."""


class Opened(Protocol):
    """A store while it is read: one unchanging view of it. May be Describing."""

    generations: tuple[str, ...]  # which formats it holds, by name

    def sessions(self, quarantine: Quarantine) -> list[Session]:
        """Every session once, with a fingerprint made without reading any conversation."""
        ...

    def messages(self, session: Session, quarantine: Quarantine) -> Iterator[Message]:
        """One session's conversation, streamed in order."""
        ...


@runtime_checkable
class Describing(Protocol):
    """An Opened whose `sessions` only looks at files from outside; it reads those that are new or changed."""

    def described(self, session: Session, quarantine: Quarantine) -> Sequence[Session]:
        """The session with its title, directory and so on, and those that lie within its file; none: nobody spoke.

        Called before `messages` for a new or changed session.
        """
        ...


class Preview(msgspec.Struct, frozen=True):
    """What a store holds, as far as a look from outside tells."""

    sessions: int | None
    size: int  # bytes


@runtime_checkable
class Previewing(Protocol):
    """A Store that can say more about itself than the size of what lies at `where`."""

    def preview(self) -> Preview:
        """How much there is to read. Cheap: no file is opened."""
        ...


class Store(Protocol):
    """One place of a source: a database file, a folder of files. May be Previewing."""

    where: str

    def reading(self) -> AbstractContextManager[Opened]:
        """Open it for reading. Raises SourceError, and ChangedMeanwhile at the latest when it closes."""
        ...


class Source(Protocol):
    """One kind of history."""

    name: str

    def stores(self, paths: Sequence[Path]) -> list[Store]:
        """The stores at these paths, or where the program keeps them. Raises SourceError when there are none."""
        ...


def source(name: str) -> Source:
    """The source called `name`. Raises BadInput for an unknown one."""
    if name not in SOURCES:
        raise BadInput(f"there is no source {name!r}", fix=f"Known sources: {', '.join(SOURCES)}.")
    module, _, attribute = SOURCES[name].place.partition(":")
    made: Source = getattr(importlib.import_module(module), attribute)()
    return made
