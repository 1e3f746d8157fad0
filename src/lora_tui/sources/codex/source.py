"""Codex CLI as a source: the rollout files of its home, plain and compressed, archived ones too."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from lora_tui.sources import files
from lora_tui.sources.codex import file, rows
from lora_tui.sources.model import Message, Session
from lora_tui.sources.registry import Opened, Preview, Quarantine, Quarantined, Store
from lora_tui.sources.text_lines import lines
from lora_tui.sources.unread import closed
from lora_tui.workspace.errors import SourceError

READER = 1  # raised when the same file would be read differently

_ENDINGS = (".jsonl", ".jsonl.zst")
_FOLDERS = ("sessions", "archived_sessions")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_FIX = "Give a rollout file, or Codex's folder (~/.codex)."
_PEEK = 20  # lines
_KINDS = ("session_meta", "response_item", "event_msg", "turn_context", "compacted")


class Codex:
    """The registered source."""

    name = "codex"

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment

    def stores(self, paths: Sequence[Path]) -> list[Store]:
        """One store per folder or file. Raises SourceError for a path without sessions."""
        if not paths:
            home = Path(self._environment.get("CODEX_HOME") or Path.home() / ".codex")
            found = Rollouts(home, [home / name for name in _FOLDERS])
            stores = found.with_closed_folders()
            if not stores:
                raise SourceError(
                    "Codex has no sessions on this machine",
                    where=str(home),
                    fix="Give the path of Codex's folder: lora-tui ingest codex PATH.",
                )
            return stores
        return [store for path in files.once(paths) for store in _stores(path.absolute())]


def _stores(path: Path) -> list[Store]:
    if path.is_dir():
        inner = [path / name for name in _FOLDERS if (path / name).is_dir()]
        stores = Rollouts(path, inner or [path]).with_closed_folders()
        if not stores:
            raise SourceError("there are no Codex sessions in this folder", where=str(path), fix=_FIX)
        return stores
    if not path.is_file():
        raise SourceError("there is no such file", where=str(path), fix=_FIX)
    if not _is_rollout(path):
        raise SourceError("this is no rollout file of Codex", where=str(path), fix=_FIX)
    return [Rollouts(path, [path])]


class Rollouts:
    """Rollout files: one, or all below some folders."""

    def __init__(self, shown: Path, places: Sequence[Path]) -> None:
        self.where = str(shown)
        self._places = places

    def with_closed_folders(self) -> list[Store]:
        """These, if there are any, and what else of the folders cannot be entered."""
        denied: list[OSError] = []
        found = self.files(denied)
        return [*([self] if found else []), *closed(denied)]

    def files(self, denied: list[OSError] | None = None) -> dict[str, Path]:
        """By the session's id. Of a session's files the plain one counts, then the one that is not archived."""
        found: dict[str, Path] = {}
        for path in self._all(denied):
            before = found.get(_native_id(path))
            if before is None or (before.suffix == ".zst" and path.suffix != ".zst"):
                found[_native_id(path)] = path
        return found

    def preview(self) -> Preview:
        """How many, and how large as they lie there."""
        return files.preview(self.files().values())

    @contextmanager
    def reading(self) -> Iterator[Opened]:
        """Nothing to hold open: files are appended to, and each is read as far as it goes when its turn comes."""
        yield _OpenedRollouts(self.files())

    def _all(self, denied: list[OSError] | None) -> Iterable[Path]:
        for place in self._places:
            if os.path.isfile(place):  # Path.is_file raises where a folder above is closed
                yield place
            else:
                inside = files.below(place, _ENDINGS, denied=denied)
                yield from (path for path in inside if path.name.startswith("rollout-"))


class _OpenedRollouts:
    def __init__(self, found: dict[str, Path]) -> None:
        self._paths = found
        packed = any(path.suffix == ".zst" for path in found.values())
        self.generations: tuple[str, ...] = ("jsonl", "zst") if packed else ("jsonl",)

    def sessions(self, quarantine: Quarantine) -> list[Session]:
        """A session per file, told from its name, its size and its time alone."""
        return [_outside(native_id, path) for native_id, path in self._paths.items()]

    def described(self, session: Session, quarantine: Quarantine) -> Sequence[Session]:
        """Read the head of the file: the directory, the version, what the user asked first."""
        path = self._paths[session.native_id]
        try:
            found = file.described(path, session)
        except OSError as error:
            quarantine(Quarantined(str(path), "session", session.native_id, error.strerror or str(error)))
            return []
        if found is None:
            for _ in file.messages(path, session, quarantine):  # say what is wrong with it, if anything is
                pass
            return []
        return [found]

    def messages(self, session: Session, quarantine: Quarantine) -> Iterator[Message]:
        """The conversation."""
        return file.messages(self._paths[session.native_id], session, quarantine)


def _native_id(path: Path) -> str:
    """rollout-2026-11-20T12-10-46-<id>.jsonl; the name itself where it has no id."""
    stem = path.name.removesuffix(".zst").removesuffix(".jsonl")
    found = _ID.search(stem)
    return found.group(0) if found else stem


def _outside(native_id: str, path: Path) -> Session:
    seen = files.state(path)
    return Session(
        source=Codex.name,
        native_id=native_id,
        title="",
        directory="",
        created=seen.changed // 1_000_000,
        updated=seen.changed // 1_000_000,
        origin=str(path),
        fingerprint=files.fingerprint(READER, seen),
    )


def _is_rollout(path: Path) -> bool:
    """Whether one of the first lines is of a kind that Codex writes; a damaged one is passed over."""
    if path.name.startswith("rollout-") and path.name.endswith(_ENDINGS):
        return True
    try:
        for line in lines(path):
            if line.number > _PEEK:
                break
            try:
                if rows.row.decode(line.text).type in _KINDS:
                    return True
            except msgspec.DecodeError:
                continue
    except OSError as error:
        raise SourceError(
            f"the file cannot be read: {error.strerror}", where=str(path), fix="Check its permissions."
        ) from error
    return False
