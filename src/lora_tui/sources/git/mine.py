"""Mining: from a repository's log to sessions in the workspace, in one pass and little memory."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec

from lora_tui.sources.git import marks
from lora_tui.sources.git.attributes import left_out
from lora_tui.sources.git.blobs import AT_ONCE, Asked, Blobs, TooLong
from lora_tui.sources.git.contents import Contents, Found, Kept
from lora_tui.sources.git.conversation import messages
from lora_tui.sources.git.filters import Filters
from lora_tui.sources.git.funnel import Funnel
from lora_tui.sources.git.headers import Candidate, Headers
from lora_tui.sources.git.licence import concerns, licence
from lora_tui.sources.git.log import Entry, entries
from lora_tui.sources.git.repository import Repository, open_repository
from lora_tui.sources.model import Session
from lora_tui.sources.spool import CannotKeep, Spool
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

SOURCE = "git"
FORM = 3  # of the sessions; raise it when the same commit becomes other messages
MAX_CHARACTERS = 12_000  # shown before and written after, together
_BATCH = 24  # commits whose files are asked for at once
_STORED_AT_ONCE = 400  # commits
_TITLE = 200

Progress = Callable[[int, int, str], None]  # commits seen, in all, what is being read


class Mined(msgspec.Struct, frozen=True):
    """What was found in one repository."""

    where: str
    head: str
    licence: str
    commits: int  # all that its HEAD reaches
    funnel: Funnel
    languages: dict[str, int]  # kept commits by language


def mine(
    workspace: Workspace | None,
    path: Path,
    filters: Filters,
    max_characters: int = MAX_CHARACTERS,
    again: bool = False,
    progress: Progress | None = None,
) -> Mined:
    """Mine the history of the HEAD of the repository at `path` into the workspace; without one only count.

    Commits that an earlier mining with the same settings saw are not read again (`again`: they are). Raises
    SourceError for a repository that cannot be read, LoraTuiError when storing fails. On KeyboardInterrupt what is
    mined so far is stored, each session whole.
    """
    repository = open_repository(path)
    return _Mining(workspace, repository, filters, max_characters, again, progress or (lambda *_: None)).run()


class _Mining:
    """One repository while it is mined."""

    def __init__(
        self,
        workspace: Workspace | None,
        repository: Repository,
        filters: Filters,
        max_characters: int,
        again: bool,
        progress: Progress,
    ) -> None:
        self.workspace = workspace
        self.repository = repository
        self.progress = progress
        self.fingerprint = f"{FORM}:{max_characters}:{filters.key()}"
        boundary = ",".join(sorted(repository.boundary))
        said = "\n".join((self.fingerprint, repository.prefix, boundary))
        self.settings = hashlib.blake2b(said.encode(), digest_size=12).hexdigest()
        self.again = again
        self.funnel = Funnel.of(filters.order)
        self.languages: dict[str, int] = {}
        self.contents = Contents(filters, max_characters)
        self.total = repository.count(repository.head)
        self.filters = filters
        self.licence = ""

    def run(self) -> Mined:
        revisions = [self.repository.head, *self._known_tips()]
        if len(revisions) > 1:
            self.funnel.earlier = self.total - self.repository.count(*revisions)
        with closing(Blobs(self.repository, self.contents.longest)) as blobs:
            attributes, self.licence = _about(self.repository, blobs)
            headers = Headers(self.filters, self.repository, left_out(attributes))
            kept = self._kept(blobs, headers, entries(self.repository, revisions))
            if self.workspace is None:
                for _ in kept:
                    pass
            else:
                self._store(self.workspace, kept)
                marks.remember(self.workspace, self.repository.git_dir, self.settings, self.repository.head)
        self.progress(self.funnel.seen, self.funnel.seen, "")
        return Mined(
            where=self.repository.where,
            head=self.repository.head,
            licence=self.licence,
            commits=self.total,
            funnel=self.funnel,
            languages=dict(sorted(self.languages.items())),
        )

    def _known_tips(self) -> list[str]:
        """What to leave out: '^tip' for each commit that was mined to the end and is still here."""
        if self.workspace is None or self.again:
            return []
        found = marks.tips(self.workspace, self.repository.git_dir, self.settings)
        if not found:
            return []
        asked = self.repository.output("rev-list", "--no-walk", "--ignore-missing", *found).decode().split()
        return [f"^{tip}" for tip in asked]

    def _kept(self, blobs: Blobs, headers: Headers, log: Iterator[Entry]) -> Iterator[Kept]:
        """The commits to store. While one batch is judged, git reads the files of the next."""
        waiting: tuple[list[Candidate], Asked] | None = None
        with closing(log):  # type: ignore[type-var]
            for batch in _batches(self._candidates(headers, log)):
                shas = (sha for one in batch for change in one.changes for sha in (change.before, change.after))
                asked = blobs.ask(sha for sha in shas if sha.strip(b"0"))
                if waiting is not None:
                    yield from self._judged(waiting[0], blobs.read(waiting[1]))
                waiting = batch, asked
            if waiting is not None:
                yield from self._judged(waiting[0], blobs.read(waiting[1]))

    def _candidates(self, headers: Headers, log: Iterator[Entry]) -> Iterator[Candidate]:
        funnel = self.funnel
        total = self.total - funnel.earlier
        for number, entry in enumerate(log):
            if not number & 63:
                self.progress(number, total, self.repository.where)
            found = headers.ask(entry)
            if isinstance(found, str):
                funnel.drop(found)
            else:
                yield found

    def _judged(self, batch: list[Candidate], found: Found) -> Iterator[Kept]:
        known = self._stored(batch)
        for candidate in batch:
            fingerprint = known.get(self._native_id(candidate.sha, candidate.language))
            if fingerprint == self.fingerprint:
                self._count(candidate.language, "unchanged")
                continue
            judged = self.contents.ask(candidate, found)
            if isinstance(judged, str):
                self.funnel.drop(judged)
            else:
                self._count(candidate.language, "new" if fingerprint is None else "changed")
                yield judged

    def _stored(self, batch: list[Candidate]) -> dict[str, str]:
        if self.workspace is None:
            return {}
        return marks.fingerprints(self.workspace, [self._native_id(one.sha, one.language) for one in batch])

    def _count(self, language: str, outcome: str) -> None:
        self.funnel.keep()
        setattr(self.funnel, outcome, getattr(self.funnel, outcome) + 1)
        self.languages[language] = self.languages.get(language, 0) + 1

    def _store(self, workspace: Workspace, kept: Iterator[Kept]) -> None:
        workspace.ensure()
        try:
            more = True
            while more:
                with closing(Spool(workspace.root)) as spool:
                    number = 0
                    try:
                        for one in islice(kept, _STORED_AT_ONCE):
                            spool.add(self._session(one), messages(one))
                            number += 1
                    except KeyboardInterrupt:
                        spool.store(workspace)
                        raise
                    more = number == _STORED_AT_ONCE
                    spool.store(workspace)
        except (sqlite3.Error, OSError, CannotKeep) as error:
            raise LoraTuiError(
                f"the commits cannot be stored: {error}",
                where=str(workspace.database),
                fix="Free some space and try again; what is stored so far is whole.",
            ) from error

    def _session(self, kept: Kept) -> Session:
        commit = kept.commit
        title = commit.subject[:_TITLE] or commit.sha[:12]
        return Session(
            source=SOURCE,
            native_id=self._native_id(commit.sha, commit.language),
            title=f"needs prompt: {title}" if commit.needs_prompt else title,
            directory=self.repository.root,
            created=commit.date,
            updated=commit.date,
            origin=self.repository.git_dir,
            fingerprint=self.fingerprint,
            licence=self.licence,
        )

    def _native_id(self, sha: str, language: str) -> str:
        """A commit's id is the same in every clone; the language and the folder say which of its files are meant."""
        folder = f":{self.repository.prefix.rstrip('/')}" if self.repository.prefix else ""
        return f"{sha}:{language}{folder}"


def _batches(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """As many commits as one request for their files may be for."""
    batch: list[Candidate] = []
    files = 0
    for one in candidates:
        if batch and (len(batch) == _BATCH or files + 2 * len(one.changes) > AT_ONCE):
            yield batch
            batch, files = [], 0
        batch.append(one)
        files += 2 * len(one.changes)
    if batch:
        yield batch


def _about(repository: Repository, blobs: Blobs) -> tuple[str, str]:
    """The text of the root .gitattributes and the licence, as HEAD has them; '' where it has none."""
    names: dict[str, bytes] = {}
    for row in repository.output("ls-tree", "-z", "--end-of-options", repository.head).split(b"\0"):
        head, _, raw = row.partition(b"\t")
        name = raw.decode(errors="replace")
        if b" blob " in head and (name == ".gitattributes" or concerns(name)) and len(names) < AT_ONCE:
            names[name] = head.split()[2]
    found = blobs.read(blobs.ask(names.values()))
    texts = {
        name: data.decode(errors="replace")
        for name, sha in names.items()
        if (data := found[sha]) is not None and not isinstance(data, TooLong)
    }
    return texts.pop(".gitattributes", ""), licence(texts)
