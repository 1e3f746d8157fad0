"""The history as a stream: `git log --raw -z`, newest first, every commit once, nothing held.

With `-z` every field and every path ends in a NUL, which neither a message nor a path can contain.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from lora_tui.sources.git.pipes import widen
from lora_tui.sources.git.repository import Repository, environment, explained, no_git
from lora_tui.workspace.errors import SourceError

_FORMAT = "%x00".join(("%H", "%P", "%an", "%ae", "%cn", "%ce", "%ct", "%B"))
_BLOCK = 1 << 18
_BROKEN = "could not fetch", "missing", "unable to read", "bad object", "promisor"


class Change(NamedTuple):
    """One line of `--raw`: bytes as git prints them; `path` is the new one of a rename."""

    old_mode: bytes
    new_mode: bytes
    before: bytes
    after: bytes
    status: bytes  # A, M, D, T, R100, …
    old_path: bytes
    path: bytes


class Entry(NamedTuple):
    """One commit of the log."""

    sha: bytes
    parents: bytes
    author: bytes
    author_email: bytes
    committer: bytes
    committer_email: bytes
    time: bytes
    message: bytes
    changes: list[Change]


def entries(repository: Repository, revisions: Sequence[str]) -> Iterator[Entry]:
    """The commits of `revisions`. Raises SourceError when git cannot go on.

    A clone without all blobs has no renames: to compare contents git would fetch them. Where git finds out only on
    the way, the log starts again without renames and goes on behind what was read.
    """
    if repository.partial:
        yield from _stream(repository, revisions, "--no-renames")
        return
    done = 0
    try:
        for entry in _stream(repository, revisions, "-M"):
            yield entry
            done += 1
    except _BlobMissing:
        for number, entry in enumerate(_stream(repository, revisions, "--no-renames")):
            if number >= done:
                yield entry


class _BlobMissing(Exception):
    """git stopped at contents that are not here."""


def _stream(repository: Repository, revisions: Sequence[str], renames: str) -> Iterator[Entry]:
    command = repository.command(
        "log", "--raw", "-z", renames, "--no-abbrev", "--diff-merges=off", "--no-ext-diff", "--no-textconv",
        "--no-color", "--no-notes", "--no-show-signature", "--no-decorate", f"--format={_FORMAT}",
        "--end-of-options", *revisions, "--",
    )  # fmt: skip
    with tempfile.TemporaryFile() as complaints:
        try:
            running = subprocess.Popen(
                command,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                start_new_session=True,  # an interrupt is for us to handle
            )
        except FileNotFoundError as error:
            raise no_git(repository.where) from error
        assert running.stdout is not None
        widen(running.stdout)
        try:
            yield from _entries(running.stdout)
        except GeneratorExit:
            running.kill()
            raise
        except ValueError as error:
            running.kill()
            raise SourceError("git log printed what cannot be read", where=repository.where) from error
        finally:
            running.stdout.close()
            code = running.wait()
        if code:
            complaints.seek(0)
            said = complaints.read(100_000).decode(errors="replace")
            if renames == "-M" and any(sign in said for sign in _BROKEN):
                raise _BlobMissing
            raise explained(said, repository.where)


def _entries(stream: IO[bytes]) -> Iterator[Entry]:
    tokens = _tokens(stream)
    sha = next(tokens, None)
    while sha is not None:
        fields = [next(tokens) for _ in range(7)]
        changes: list[Change] = []
        item = next(tokens, None)
        while item is not None and item[:2] in (b"\n:", b":1", b":0"):
            old_mode, new_mode, before, after, status = item.lstrip(b"\n:").split(b" ")
            path = old_path = next(tokens)
            if status[:1] in b"RC":
                path = next(tokens)
            changes.append(Change(old_mode, new_mode, before, after, status, old_path, path))
            item = next(tokens, None)
        yield Entry(sha, *fields, changes)  # type: ignore[arg-type, call-arg]
        sha = item


def _tokens(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while block := stream.read1(_BLOCK):  # type: ignore[attr-defined]
        parts = (rest + block).split(b"\0")
        rest = parts.pop()
        yield from parts
