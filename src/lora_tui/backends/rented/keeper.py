"""Checkpoints brought here while the run goes on there: a machine that is lost costs what came after the newest one."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncssh

from lora_tui.backends.rented.connection import Connection, Dropped, Target, Unreachable
from lora_tui.backends.rented.fetch import Gone, fetch, fetch_beside
from lora_tui.backends.rented.patience import Patience
from lora_tui.jobs.journal import Journal, Warned
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import LoraTuiError

FOLDER = "checkpoints"
BESIDE = ("beginning.safetensors", "forgetting")  # what a run that goes on elsewhere reads beside its checkpoint
_AGAIN_SECONDS = 20.0
_HEARD_SECONDS = 1.0  # in which a look that is told to leave off does so
_NAME = re.compile(r"checkpoint-(\d+)")


def checkpoints_here(run: Run) -> list[Path]:
    """The whole checkpoints in the run's folder, oldest first."""
    found = [(int(name[1]), path) for path in (run.folder / FOLDER).glob("*") if (name := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


async def keep(patience: Patience, python: str, run: Run, there: str) -> None:
    """Bring every checkpoint that is there and not here, the newest first; what was pruned there is pruned here."""
    names = await patience.do(lambda: _listed(patience.connection, f"{there}/{FOLDER}"))
    here = run.folder / FOLDER
    here.mkdir(exist_ok=True)
    for name in names:
        if not (here / name).is_dir():
            with contextlib.suppress(Gone):
                await fetch(patience, python, f"{there}/{FOLDER}/{name}", here / name)
    with contextlib.suppress(Gone):
        await fetch_beside(patience, python, there, run.folder, BESIDE)
    for path in checkpoints_here(run):
        if names and path.name not in names and (here / names[0]).is_dir():
            shutil.rmtree(path, ignore_errors=True)


async def _listed(connection: Connection, folder: str) -> list[str]:
    sftp = await connection.sftp()
    with connection.dropping():
        try:
            found = [name for name in await sftp.listdir(folder) if _NAME.fullmatch(name)]
        except asyncssh.SFTPNoSuchFile:
            return []
    return sorted(found, key=lambda name: int(name.rpartition("-")[2]), reverse=True)


class Keeper:
    """`keep` beside the work, over a connection of its own; what fails is tried again, and told once."""

    def __init__(self, target: Target, python: str, run: Run, log: Journal, there: str) -> None:
        self._connection = Connection(target)
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._log = log
        self._told = ""
        patience = Patience(self._connection, None, _give_up_at_once)
        self._work: Callable[[], Awaitable[None]] = lambda: keep(patience, python, run, there)

    def wake(self) -> None:
        """Look for new checkpoints, now or as soon as the look that is being taken is over."""
        self._due.set()
        if self._task is None:
            self._task = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while await self._due.wait():
            self._due.clear()
            try:
                await self._work()
            except (LoraTuiError, Dropped, OSError, asyncssh.Error) as error:
                self._tell(error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN_SECONDS):
                        await self._due.wait()
                self._due.set()

    def _tell(self, error: Exception) -> None:
        why = error.what if isinstance(error, LoraTuiError) else str(error)
        if not isinstance(error, Dropped | Unreachable) and why != self._told:  # drops are told of by the work itself
            self._told = why
            message = f"the checkpoints cannot be brought here now: {why}"
            self._log.write(Warned(message=message, advice="It is tried again.", code="checkpoints"))

    async def end(self) -> None:
        """Leave off."""
        while self._task is not None and not self._task.done():
            self._task.cancel()  # before Python 3.12 `wait_for` drops one that comes as what it waits for is done
            await asyncio.wait({self._task}, timeout=_HEARD_SECONDS)
        await self._connection.close()


def _give_up_at_once(seconds: float) -> None:
    raise Dropped
