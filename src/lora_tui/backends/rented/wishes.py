"""What a person asks of a run that works elsewhere: the files in its folder here become files in its folder there."""

from __future__ import annotations

import asyncssh

from lora_tui.backends.rented.connection import Connection
from lora_tui.jobs.supervisor import CHECKPOINT, NOW, PAUSE, STOP, Run


class Wishes:
    """The requests of one run. What was passed on is not passed on again."""

    def __init__(self, run: Run) -> None:
        self._folder = run.folder
        self._passed: dict[str, bool] = {}

    @property
    def stop(self) -> bool:
        """Whether the run is to stop."""
        return (self._folder / STOP).exists()

    @property
    def now(self) -> bool:
        """Whether it is to end at once, without a checkpoint."""
        return (self._folder / NOW).exists()

    def ask_to_stop(self) -> None:
        """As a person would."""
        (self._folder / STOP).touch()

    async def pass_on(self, connection: Connection, there: str) -> None:
        """Stop, pause and checkpoint for the worker in the folder `there`. Raises Dropped."""
        for name, wanted in ((STOP, self.stop), (PAUSE, (self._folder / PAUSE).exists())):
            if self._passed.get(name, None) != wanted:
                await put(connection, f"{there}/{name}", wanted)
                self._passed[name] = wanted
        if (self._folder / CHECKPOINT).exists():
            await put(connection, f"{there}/{CHECKPOINT}", True)
            (self._folder / CHECKPOINT).unlink(missing_ok=True)


async def put(connection: Connection, path: str, wanted: bool) -> None:
    """Let an empty file be there, or not be there. Raises Dropped."""
    sftp = await connection.sftp()
    with connection.dropping():
        if wanted:
            async with sftp.open(path, "wb"):
                pass
        else:
            try:
                await sftp.remove(path)
            except asyncssh.SFTPNoSuchFile:
                pass
