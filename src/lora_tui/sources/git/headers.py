"""The rules that a line of the log answers: who, what the message says, which paths. No file is read for them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lora_tui.sources.git.filters import Filters
from lora_tui.sources.git.log import Change, Entry
from lora_tui.sources.git.repository import Repository
from lora_tui.sources.git.request import bare_subject, split
from lora_tui.sources.words import word_count

_FILE_MODES = (b"100644", b"100755")


class Candidate(msgspec.Struct, frozen=True):
    """A commit whose files are worth reading; `changes` are those of its language, sorted by path."""

    sha: str
    author: str
    committer: str
    date: int  # epoch milliseconds
    subject: str
    body: str
    language: str
    changes: tuple[Change, ...]
    needs_prompt: bool


class Headers:
    """Asks the rules of the log, in the table's order."""

    def __init__(self, filters: Filters, repository: Repository, left_out: Callable[[str], bool]) -> None:
        self._on = filters.on
        self._filters = filters
        self._boundary = frozenset(sha.encode() for sha in repository.boundary)
        self._prefix = repository.prefix.encode()
        self._bot = filters.text("bot")
        self._subjects = [(name, found) for name in ("revert", "release", "format") if (found := filters.text(name))]
        self._generated = filters.text("generated")
        self._junk = filters.text("subject")
        self._needs_prompt = "needs-prompt" in filters.on
        self._left_out = left_out
        self._refused: dict[bytes, bool] = {}  # path -> generated; the same paths come again and again

    def ask(self, entry: Entry) -> Candidate | str:
        """The candidate, or the id of the rule that refuses the commit."""
        on = self._on
        if "shallow" in on and entry.sha in self._boundary:
            return "shallow"
        if b" " in entry.parents and ("merge" in on or not entry.changes):
            return "merge"  # git lists no files of a merge: without the rule there is nothing to read either
        if self._bot is not None and self._bot.search(_who(entry)):
            return "bot"
        subject, body = split(entry.message.decode(errors="replace"))
        for name, pattern in self._subjects:
            if pattern.search(subject):
                return name
        found = self._files(entry.changes)
        if isinstance(found, str):
            return found
        language, changes = found
        needs_prompt = False
        if self._junk is not None:
            asked = bare_subject(subject)
            few = word_count(asked) < self._filters.limits["subject"]["words"]
            if few or self._junk.search(asked) or self._junk.search(subject):
                if not self._needs_prompt:
                    return "subject"
                needs_prompt = True
        return Candidate(
            sha=entry.sha.decode(),
            author=_name(entry.author),
            committer=_name(entry.committer),
            date=int(entry.time or b"0") * 1000,
            subject=subject,
            body=body,
            language=language,
            changes=changes,
            needs_prompt=needs_prompt,
        )

    def _files(self, changes: list[Change]) -> tuple[str, tuple[Change, ...]] | str:
        """The language most of the changed files are in, with these files; or the rule that refuses them."""
        on = self._on
        if self._prefix:
            changes = [change for change in changes if change.path.startswith(self._prefix)]
            if not changes:
                return "folder"
        languages: dict[str, list[Change]] = {}
        by_extension = self._filters.by_extension
        for change in changes:
            language = by_extension.get(change.path.rpartition(b".")[2].lower())
            if language is not None and (change.new_mode in _FILE_MODES or change.old_mode in _FILE_MODES):
                languages.setdefault(language, []).append(change)
        if not languages:
            return "language"
        if "generated" in on:
            written = {
                name: kept
                for name, files in languages.items()
                if (kept := [change for change in files if not self._is_generated(change.path)])
            }
            if not written:
                return "generated"
            languages = written
        language = min(languages, key=lambda name: (-len(languages[name]), name))
        files = languages[language]
        odd = [change for change in files if change.status[:1] not in b"AMR" or not _ordinary(change)]
        if odd and "status" in on:
            return "status"
        files = [change for change in files if change not in odd] if odd else files
        if not files:
            return "status"
        if "files" in on and len(files) > self._filters.limits["files"]["files"]:
            return "files"
        return language, tuple(sorted(files, key=lambda change: change.path))

    def _is_generated(self, path: bytes) -> bool:
        known = self._refused.get(path)
        if known is None:
            text = path.decode(errors="replace")
            known = bool(self._generated and self._generated.search(text)) or self._left_out(text)
            if len(self._refused) > 20_000:
                self._refused.clear()
            self._refused[path] = known
        return known


def _who(entry: Entry) -> str:
    both = b"%s <%s>\n%s <%s>" % (entry.author, entry.author_email, entry.committer, entry.committer_email)
    return both.decode(errors="replace")


def _name(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _ordinary(change: Change) -> bool:
    """An ordinary file before and after, or a new one: no link, no submodule."""
    return change.new_mode in _FILE_MODES and (change.status[:1] == b"A" or change.old_mode in _FILE_MODES)
