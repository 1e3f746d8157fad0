"""One process of an engine, watched: started, waited for, started again with a growing pause when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.adapters.orphans import ends_with_parent
from lora_tui.adapters.serving.upstream import Pool
from lora_tui.workspace.errors import LoraTuiError

HOST = "127.0.0.1"
State = Literal["starting", "ready", "restarting", "failed", "stopped"]
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds before each further start
_STEADY = 60.0  # seconds of health after which the pauses begin anew
_LOOK, _HEALTH = 0.1, 5.0  # seconds between looks at health, before it is ready and after
_SILENT = 24  # looks in a row without an answer after which it counts as hung: minutes, for a busy machine
_LEAVE = 15.0  # seconds to leave in after SIGTERM
_MOST_LOG = 10 << 20  # bytes


class Command(msgspec.Struct, frozen=True):
    """What to run."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = {}


class Process:
    """`command` is asked anew for each start: what it should load may have changed. Its health is GET /health."""

    def __init__(
        self,
        name: str,
        command: Callable[[int], Command],
        log: Path,
        *,
        port: int = 0,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name, self.log = name, log
        self.port = port or free_port()
        self.state: State = "stopped"
        self.restarts = 0
        self.since = 0.0  # epoch seconds of the present start
        self.why = ""  # it ended last
        self.pool = Pool(HOST, self.port)
        self._command, self._say = command, say
        self._fixed = bool(port)
        self._child: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The present process; None between two."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    async def start(self) -> None:
        """Start it and wait until it is healthy. Raises LoraTuiError with the log's last line when it never is."""
        self._task = asyncio.create_task(self._watch())
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Wait until it is healthy. Raises LoraTuiError when it is given up."""
        while self.state not in ("ready", "failed"):
            self._changed.clear()
            await self._changed.wait()
        if self.state == "failed":
            raise LoraTuiError(f"{self.name} does not start: {self.why}", where=str(self.log))

    async def stop(self) -> None:
        """End it and its watch."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.pool.close()
        self._become("stopped")

    def _become(self, state: State) -> None:
        self.state = state
        self._changed.set()

    async def _watch(self) -> None:
        pause, was_ever_ready = 0, False
        while True:
            self._become("restarting" if self.restarts else "starting")
            try:
                was_ready = await self._once()
            finally:
                self.pool.close()
                await self._end()
            self.why = self._reason()
            was_ever_ready |= was_ready
            if not was_ever_ready:  # what it was told is wrong, and will be the next time
                self._become("failed")
                return
            if was_ready and time.time() - self.since > _STEADY:
                pause = 0
            self.restarts += 1
            self._become("restarting")
            self._say(f"{self.name} ended: {self.why}; starting it again")
            await asyncio.sleep(_PAUSES[min(pause, len(_PAUSES) - 1)])
            pause += 1

    async def _once(self) -> bool:
        """One life of the process. Returns whether it was ever healthy."""
        if not self._fixed and not _is_free(self.port):
            self.port = free_port()
            self.pool = Pool(HOST, self.port)
        command = self._command(self.port)
        _shorten(self.log)
        with self.log.open("ab") as log:
            log.write(f"== {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(command.words)}\n".encode())
            log.flush()
            try:
                self._child = await asyncio.create_subprocess_exec(
                    *command.words,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=os.environ | dict(command.environment),
                    process_group=0,
                    preexec_fn=ends_with_parent(),
                )
            except OSError as error:
                log.write(f"cannot start {command.words[0]}: {error.strerror}\n".encode())
                self._child = None
                return False
        self.since = time.time()
        ended = asyncio.create_task(self._child.wait())
        was_ready, silent = False, 0
        try:
            while not ended.done():
                if await self._is_healthy():
                    silent = 0
                    if not was_ready:
                        was_ready = True
                        self._become("ready")
                elif was_ready:
                    silent += 1
                    if silent >= _SILENT:
                        self._note("it did not answer any more and was ended")
                        return True
                await asyncio.wait([ended], timeout=_HEALTH if was_ready else _LOOK)
        finally:
            ended.cancel()
        return was_ready

    async def _is_healthy(self) -> bool:
        try:
            async with asyncio.timeout(_HEALTH):
                status, _ = await self.pool.ask("GET", "/health")
        except (OSError, TimeoutError):
            return False
        return status == 200

    async def _end(self) -> None:
        """Ask it to leave, then make it; and what it started with it."""
        child = self._child
        if child is None:
            return
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            try:
                async with asyncio.timeout(_LEAVE):
                    await asyncio.shield(child.wait())
            except TimeoutError:
                pass
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)  # its own group: what it left behind goes too
        await child.wait()

    def _reason(self) -> str:
        child = self._child
        code = child.returncode if child is not None else None
        how = "it could not be started" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        lines = [line for line in _tail(self.log) if line.strip() and not line.startswith("== ")]
        return f"{how}; its last line was: {lines[-1].strip()[:300]}" if lines else how

    def _note(self, words: str) -> None:
        with self.log.open("a") as log:
            log.write(f"{words}\n")


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _shorten(log: Path) -> None:
    with contextlib.suppress(OSError):
        if log.stat().st_size > _MOST_LOG:
            log.replace(log.with_suffix(".1.log"))


def _tail(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
