"""The other machine's journal and logs, mirrored here line by line and byte by byte.

A mirrored line carries its number there as `origin`: which lines are here already is read from the journal itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import asyncssh
import msgspec

from lora_tui.backends.rented.connection import Connection
from lora_tui.jobs import journal
from lora_tui.jobs.supervisor import Run

LOGS = ("stdout.log", "stderr.log")
JOURNAL = "journal.jsonl"
_BLOCK = 1 << 20
_LAST_WORDS = (journal.Stopped, journal.Finished, journal.Failed)

_lines: msgspec.json.Decoder[journal.AnyEvent] = msgspec.json.Decoder(journal.AnyEvent)


def mirrored(run: Run) -> dict[int, journal.AnyEvent]:
    """The events of the run's journal that were said on the other machine, by their line there."""
    return {event.origin: event for event in journal.JournalReader(run.journal).read() if event.origin}


def as_there(run: Run) -> bytes:
    """The mirrored lines as a journal for a new machine, each at its place; a line that said nothing is empty."""
    known = mirrored(run)
    encode = msgspec.json.Encoder().encode
    lines = [
        encode(msgspec.structs.replace(known[number], origin=0)) if number in known else b""
        for number in range(1, max(known, default=0) + 1)
    ]
    return b"".join(line + b"\n" for line in lines)


class Mirror:
    """What the job in the folder `there` says. `word` is its last word, held back: there is more to do first.

    ahead: seconds that the clock there is ahead of the one here, whose times the journal here has.
    """

    def __init__(self, run: Run, log: journal.Journal, there: str, ahead: float = 0.0) -> None:
        self.word: journal.AnyEvent | None = None
        self.checkpoints = 0  # that were told of since this mirror began
        self._run = run
        self._log = log
        self._there = there
        self._ahead = ahead
        self._have = set(mirrored(run))
        self._line = 0
        self._offset = 0
        self._half = b""

    async def catch_up(self, connection: Connection) -> bool:
        """Take over what is new; whether anything was. Raises Dropped; what was taken by then stays taken."""
        sftp = await connection.sftp()
        moved = False
        with connection.dropping():
            for name in LOGS:
                moved |= await self._append_log(sftp, name)
            while data := await _read(sftp, f"{self._there}/{JOURNAL}", self._offset):
                self._offset += len(data)
                self._take(data)
                moved = True
        return moved

    def say_word(self) -> None:
        """Let the last word into the journal."""
        if self.word is not None:
            self._log.write(self.word)
            self.word = None

    def _take(self, data: bytes) -> None:
        *whole, self._half = (self._half + data).split(b"\n")
        for line in whole:
            self._line += 1
            if self._line in self._have or not line.strip():
                continue
            try:
                event = _lines.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):  # half a line of a process that was killed
                continue
            self._have.add(self._line)
            event = msgspec.structs.replace(event, origin=self._line, time=event.time - self._ahead)
            if isinstance(event, _LAST_WORDS):
                self.say_word()
                self.word = event
                continue
            if isinstance(event, journal.Started):
                self.say_word()
            self.checkpoints += isinstance(event, journal.Checkpoint)
            self._log.write(event)

    async def _append_log(self, sftp: asyncssh.SFTPClient, name: str) -> bool:
        here: Path = self._run.folder / name
        moved = False
        with here.open("ab") as file:
            while data := await _read(sftp, f"{self._there}/{name}", file.tell()):
                file.write(data)
                moved = True
        return moved


async def _read(sftp: asyncssh.SFTPClient, path: str, offset: int) -> bytes:
    """A block of a file from `offset`; empty at its end, and where there is no such file yet."""
    try:
        if ((await sftp.stat(path)).size or 0) <= offset:
            return b""
        async with sftp.open(path, "rb") as file:
            return cast(bytes, await file.read(_BLOCK, offset))
    except asyncssh.SFTPNoSuchFile:
        return b""
