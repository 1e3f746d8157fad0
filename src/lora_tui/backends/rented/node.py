"""One machine of a run, made ready and told to start: connected, sent what it lacks, given the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from lora_tui.backends.rented.asking import Facts, Status, ask
from lora_tui.backends.rented.bootstrap import Bootstrap, Ready, facts_of
from lora_tui.backends.rented.bundle import Piece, bundle, job_folder
from lora_tui.backends.rented.connection import Connection, Target
from lora_tui.backends.rented.limits import Limits
from lora_tui.backends.rented.passed_on import in_words, passed_on
from lora_tui.backends.rented.patience import Patience
from lora_tui.backends.rented.upload import upload
from lora_tui.backends.rented.wishes import put
from lora_tui.jobs import journal
from lora_tui.jobs.job import JobFile, Train
from lora_tui.jobs.supervisor import CHECKPOINT, ENVIRONMENT, PAUSE, STOP, Run
from lora_tui.workspace.config import Host
from lora_tui.workspace.keys import key

_CLOCK_SECONDS = 2.0  # by which two clocks may differ


class Node:
    """Machine number `rank` of a run's; `connect` comes first."""

    def __init__(self, run: Run, log: journal.Journal, target: Target, host: Host, rank: int, limits: Limits) -> None:
        self.connection = Connection(target)
        self.patience = Patience(self.connection, log, limits.give_up)
        self.limits = limits
        self.name = target.name
        self.rank = rank
        self.python = ""
        self.folder = ""
        self.ahead = 0.0  # seconds that its clock is ahead of the one here
        self._run = run
        self._log = log
        self._host = host
        self._facts: Facts | None = None

    async def connect(self, *, wait: bool) -> None:
        """Reach it and learn what it is. `wait`: for one that does not answer yet. Raises LoraTuiError."""
        self._log.write(journal.Progress(stage=f"connect to {self.name}", done=0))
        if not wait:
            await self.connection.open()
        facts, self.python, self.ahead = await self.patience.do(self._looked_at)
        self._facts = facts
        self.folder = f"{facts.root}/{job_folder(self._run.id, self.rank)}"

    async def _looked_at(self) -> tuple[Facts, str, float]:
        asked = time.time()
        facts, python = await facts_of(self.connection, self._host.python, self._host.folder)
        ahead, half = facts.now - (asked + time.time()) / 2, (time.time() - asked) / 2
        return facts, python, ahead if abs(ahead) > half + _CLOCK_SECONDS else 0.0

    @property
    def works(self) -> bool:
        """Whether the worker is known to work there; a drop of the connection is told accordingly."""
        return self.patience.working_there

    @works.setter
    def works(self, now: bool) -> None:
        self.patience.working_there = self.limits.working = now

    @property
    def has_gpus(self) -> bool:
        """Whether it shows GPUs, or is said to have some."""
        return bool(self._facts and self._facts.gpus) or self._host.gpus > 0

    @property
    def address(self) -> str:
        """As other machines of its network reach it."""
        return self._facts.address if self._facts is not None else ""

    async def ask(self, kind: Any, do: str, **more: Any) -> Any:
        """Have `there.do` done, over drops. Raises LoraTuiError."""
        return await self.patience.do(lambda: ask(self.connection, self.python, kind, do, **more))

    async def status(self) -> Status:
        """The newest attempt at the run there."""
        found: Status = await self.ask(Status, "status", folder=self.folder)
        return found

    async def start(self, file: JobFile, attempt: int, more: Sequence[Piece]) -> None:
        """Send what it lacks of the run's job, with `more`, make the engine ready and start the worker as this attempt.

        Raises LoraTuiError, and Ended when a stop is asked for meanwhile.
        """
        assert self._facts is not None
        check = self.limits.end_if_asked
        bundled = await asyncio.to_thread(bundle, file, self.rank)  # a large base takes a while to hash
        check()
        stage = f"upload to {self.name}"
        self._log.write(journal.Progress(stage=stage, done=0))
        pieces = [*bundled.pieces, *more]
        said = self.tell(stage)

        def told(done: int, total: int) -> None:
            said(done, total)
            check()

        await upload(self.patience, self.python, self._facts.root, pieces, told)
        check()
        stage = f"make the engine ready on {self.name}"
        self._log.write(journal.Progress(stage=stage, done=0))
        installing = self.tell(stage)
        bootstrap = Bootstrap(
            self.patience,
            self._facts,
            self.python,
            self._host.python,
            bundled.wheel,
            _extras(_job(file)),
            lambda size: installing(size, 0),
            check,
        )
        ready = await bootstrap.ready(has_gpus=self.has_gpus)
        check()
        await self.patience.do(self._clear)
        given = {name: key(name).reveal() for name in passed_on(_job(file).base)}
        if given:
            self._log.write(journal.Note(message=in_words(_job(file).base)))
        self._log.write(journal.Progress(stage=f"start on {self.name}", done=0))
        await self.ask(
            bool,
            "launch",
            folder=self.folder,
            attempt=attempt,
            command=self._command(ready),
            out="stdout.log",
            err="stderr.log",
            environment=ENVIRONMENT | ready.environment | given,
        )
        self.works = True

    def _command(self, ready: Ready) -> list[str]:
        command = [ready.python, "-m", "lora_tui.worker", f"{self.folder}/job.toml"]
        return [*command, "--node-rank", str(self.rank)] if self.rank else command

    async def _clear(self) -> None:
        for name in (STOP, PAUSE, CHECKPOINT):
            await put(self.connection, f"{self.folder}/{name}", False)

    def tell(self, stage: str) -> Callable[[int, int], None]:
        """What says in the journal how far a stage is, now and then: done, of how many."""
        said = 0

        def told(done: int, total: int) -> None:
            nonlocal said
            if done - said > (max(1 << 20, total // 50) if total else 1 << 10) or done == total:
                said = done
                self._log.write(journal.Progress(stage=stage, done=done, total=total))

        return told


def _job(file: JobFile) -> Train:
    assert isinstance(file.job, Train)
    return file.job


def _extras(job: Train) -> str:
    packed = job.profile.model.load_in_4bit or job.profile.model.load_in_8bit
    return "train,quant" if packed else "train"
