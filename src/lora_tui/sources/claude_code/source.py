"""Claude Code as a source: folders of session files, and the files of the subagents each session started."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from lora_tui.sources import files
from lora_tui.sources.claude_code import rows
from lora_tui.sources.claude_code.file import SessionFile
from lora_tui.sources.model import Message, Session
from lora_tui.sources.registry import Opened, Preview, Quarantine, Quarantined, Store
from lora_tui.sources.text_lines import lines
from lora_tui.sources.unread import closed
from lora_tui.workspace.errors import SourceError

READER = 1  # raised when the same file would be read differently

_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIX = "Give a session file, or Claude Code's projects folder (~/.claude/projects)."
_PEEK = 50  # lines of a file, files of a folder


class ClaudeCode:
    """The registered source."""

    name = "claude-code"

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment

    def stores(self, paths: Sequence[Path]) -> list[Store]:
        """One store per folder or file. Raises SourceError for a path without sessions."""
        if not paths:
            folder = Path(self._environment.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude") / "projects"
            denied: list[OSError] = []
            found = any([*_sessions_below(folder, denied)])
            if not found and not closed(denied):
                raise SourceError(
                    "Claude Code has no sessions on this machine",
                    where=str(folder),
                    fix="Give the path of a projects folder: lora-tui ingest claude-code PATH.",
                )
            return [*([Projects(folder)] if found else []), *closed(denied)]
        return [store for path in files.once(paths) for store in _stores(path.absolute())]


def _stores(path: Path) -> list[Store]:
    if path.is_dir():
        folder = path / "projects" if (path / "projects").is_dir() else path
        denied: list[OSError] = []
        inside = list(_sessions_below(folder, denied))
        if any(map(_is_session, inside[:_PEEK])):
            return [Projects(folder), *closed(denied)]
        if not closed(denied):
            raise SourceError("there are no Claude Code sessions in this folder", where=str(path), fix=_FIX)
        return [*closed(denied)]
    if not path.is_file():
        raise SourceError("there is no such file", where=str(path), fix=_FIX)
    if not _is_session(path):
        raise SourceError("this is no session file of Claude Code", where=str(path), fix=_FIX)
    return [Projects(path)]


class Projects:
    """A projects folder, the folder of one project, or one file."""

    def __init__(self, place: Path) -> None:
        self.where = str(place)
        self._place = place

    def preview(self) -> Preview:
        """Subagents' sessions are counted too."""
        return files.preview(self._files())

    @contextmanager
    def reading(self) -> Iterator[Opened]:
        """Nothing to hold open: files are appended to, and each is read as far as it goes when its turn comes."""
        yield _OpenedProjects(self._files())

    def _files(self) -> list[Path]:
        if self._place.is_dir():
            return list(_sessions_below(self._place))
        return [self._place, *_sessions_below(self._place.with_suffix(""))]


class _OpenedProjects:
    generations: tuple[str, ...] = ("jsonl",)

    def __init__(self, found: list[Path]) -> None:
        self._paths: dict[str, Path] = {}
        for path in found:
            before = self._paths.get(path.stem)
            if before is None or _newer(path, before):
                self._paths[path.stem] = path
        self._described: dict[str, SessionFile] = {}

    def sessions(self, quarantine: Quarantine) -> list[Session]:
        """A session per file, told from its name, its size and its time alone."""
        return [self._outside(path) for path in self._paths.values()]

    def described(self, session: Session, quarantine: Quarantine) -> Sequence[Session]:
        """Read the file once: which lines are the conversation, where it was had, which sidechains it holds."""
        self._described = {}
        path = self._paths[session.native_id]
        try:
            file = SessionFile(path, session, _meta(path), quarantine)
        except OSError as error:
            quarantine(Quarantined(str(path), "session", session.native_id, error.strerror or str(error)))
            return []
        found = file.sessions()
        self._described = {one.native_id: file for one in found}
        return found

    def messages(self, session: Session, quarantine: Quarantine) -> Iterator[Message]:
        """The conversation of a described session."""
        return self._described[session.native_id].messages(session.native_id, quarantine)

    def _outside(self, path: Path) -> Session:
        seen = files.state(path)
        subagent = path.parent.name == "subagents"
        return Session(
            source=ClaudeCode.name,
            native_id=path.stem,
            parent=path.parent.parent.name if subagent else "",
            title="",
            directory="",
            created=seen.changed // 1_000_000,
            updated=seen.changed // 1_000_000,
            origin=str(path),
            fingerprint=files.fingerprint(READER, seen, files.state(_meta_path(path))),
        )


def _sessions_below(folder: Path, denied: list[OSError] | None = None) -> Iterator[Path]:
    """Session files; of what lies in a session's own folder only the subagents' files."""
    for path in files.below(folder, (".jsonl",), frozenset({"tool-results", "tasks"}), denied):
        inside = any(_SESSION.fullmatch(part) for part in (folder.name, *path.relative_to(folder).parts[:-1]))
        if path.name.startswith("agent-") or not inside:
            yield path


def _newer(path: Path, other: Path) -> bool:
    """Whether this copy of a session was written to later than the other, or is longer."""
    mine, others = files.state(path), files.state(other)
    return (mine.changed, mine.size) > (others.changed, others.size)


def _meta_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}.meta.json")


def _meta(path: Path) -> rows.Meta:
    try:
        return rows.meta.decode(_meta_path(path).read_bytes())
    except (OSError, msgspec.DecodeError):
        return rows.Meta()


def _is_session(path: Path) -> bool:
    """Whether one of the first lines is of a kind that only Claude Code writes; a damaged one is passed over."""
    try:
        for line in lines(path):
            if line.number > _PEEK:
                break
            try:
                row = rows.row.decode(line.text)
            except msgspec.DecodeError:
                continue
            if row.sessionId or row.leafUuid:
                return True
    except OSError as error:
        raise SourceError(
            f"the file cannot be read: {error.strerror}", where=str(path), fix="Check its permissions."
        ) from error
    return False
