"""File contents from one long-lived `git cat-file --batch`, asked for ahead of their use.

The file before a commit is the file after an older one: the contents read last are kept, up to a few megabytes.
"""

from __future__ import annotations

import subprocess
from collections import OrderedDict
from collections.abc import Iterable
from typing import IO

from lora_tui.sources.git.pipes import widen
from lora_tui.sources.git.repository import Repository, environment, no_git
from lora_tui.workspace.errors import SourceError

KEPT = 8 * 1024**2
_CACHE = 40  # MiB that git keeps: a third of the time of 8 MiB, the rest is for packs in which versions lie far apart
AT_ONCE = 150  # blobs in one request: its text stays below what a pipe holds, so writing it never waits
NOTHING = b"0" * 40


class TooLong:
    """In place of contents that are longer than any we use."""


class Asked:
    """Blobs that were asked for and not yet read."""

    def __init__(self, waiting: list[bytes], found: dict[bytes, bytes | TooLong | None], before: Asked | None) -> None:
        self.waiting = waiting
        self.found = found
        self.before = before


class Blobs:
    """Contents by blob id. Requests are answered in the order they were made."""

    def __init__(self, repository: Repository, longest: int) -> None:
        self._where = repository.where
        self._longest = longest  # bytes
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0
        self._last: Asked | None = None
        self._present = _present(repository) if repository.partial else None
        try:
            self._process = subprocess.Popen(
                repository.command("cat-file", "--batch", cache=_CACHE),
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=1 << 17,
            )
        except FileNotFoundError as error:
            raise no_git(self._where) from error
        widen(self._output())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # what was not written to a process that is gone
                    pass
        self._process.wait()

    def ask(self, shas: Iterable[bytes]) -> Asked:
        """Send for blobs, at most AT_ONCE. The one earlier request that is still open stays valid."""
        found: dict[bytes, bytes | TooLong | None] = {}
        waiting = []
        earlier = set(self._last.waiting) if self._last is not None else set()
        for sha in dict.fromkeys(shas):
            data = self._kept.get(sha)
            if data is not None:
                self._kept.move_to_end(sha)
                found[sha] = data
            elif self._present is not None and bytes.fromhex(sha.decode()) not in self._present:
                found[sha] = None
            elif sha not in earlier:
                waiting.append(sha)
        if waiting:
            try:
                self._input().write(b"\n".join(waiting) + b"\n")
                self._input().flush()
            except OSError as error:
                raise self._gone() from error
        self._last = Asked(waiting, found, self._last if earlier else None)
        return self._last

    def read(self, asked: Asked) -> dict[bytes, bytes | TooLong | None]:
        """The contents that were asked for; None where the repository does not have them."""
        found = asked.found
        for sha in asked.waiting:
            found[sha] = self._one()
        for sha in asked.waiting:
            data = found[sha]
            if isinstance(data, bytes):
                self._keep(sha, data)
        if asked.before is not None:  # asked for with the request before this one
            found = {**asked.before.found, **found}
            asked.before = None
        asked.waiting = []
        if self._last is asked:
            self._last = None
        return found

    def _one(self) -> bytes | TooLong | None:
        stream = self._output()
        head = stream.readline().split()
        if len(head) == 2:  # '<id> missing'
            return None
        if len(head) != 3:
            raise self._gone()
        size = int(head[2])
        if size > self._longest or head[1] != b"blob":
            left = size + 1
            while left:
                piece = len(stream.read(min(left, 1 << 16)))
                if not piece:
                    raise self._gone()
                left -= piece
            return TooLong()
        data = stream.read(size + 1)
        if len(data) != size + 1:
            raise self._gone()
        return data[:-1]

    def _keep(self, sha: bytes, data: bytes) -> None:
        self._kept[sha] = data
        self._size += len(data)
        while self._size > KEPT:
            _, old = self._kept.popitem(last=False)
            self._size -= len(old)

    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _gone(self) -> SourceError:
        return SourceError("git stopped while it read file contents", where=self._where, fix="Check it: git fsck")


def _present(repository: Repository) -> frozenset[bytes]:
    """The blobs a partial clone has, 20 bytes each. Asking for another would make older gits try to fetch it."""
    process = subprocess.Popen(
        repository.command(
            "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objecttype) %(objectname)"
        ),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout:
        found = frozenset(bytes.fromhex(line[5:].strip().decode()) for line in process.stdout if line[:5] == b"blob ")
    process.wait()
    return found
