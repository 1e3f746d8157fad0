"""A run done on another machine, from wherever its journal and that machine show it to be."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec

from lora_tui.backends.processes import PORT
from lora_tui.backends.rented.asking import Status
from lora_tui.backends.rented.fetch import Gone, fetch, fetch_beside
from lora_tui.backends.rented.follow import LOGS, Mirror
from lora_tui.backends.rented.keeper import FOLDER, Keeper, checkpoints_here, keep
from lora_tui.backends.rented.limits import Ended, Limits
from lora_tui.backends.rented.machine import GoesOn, Reached
from lora_tui.backends.rented.node import Node
from lora_tui.backends.rented.seed import seed
from lora_tui.backends.rented.wishes import Wishes
from lora_tui.jobs import journal
from lora_tui.jobs.job import JobFile, Train
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.keys import hidden

ADAPTER = "adapter"
_POLL_SECONDS = 0.4
_STATUS_SECONDS = 5.0  # of silence after which it is asked whether the worker lives
_OTHERS_SECONDS = 20.0  # that further machines may take to end behind the first
_SPENT = (FOLDER, "tokens")
_REPORTS = ("tensorboard", "mlruns", "mlflow.db")


class Conductor:
    """One start of the run. `work` returns its last word, which is not in the journal yet."""

    def __init__(self, run: Run, log: journal.Journal, reached: Reached) -> None:
        self.run = run
        self.log = log
        self.reached = reached
        self.wishes = Wishes(run)
        self.limits = Limits(reached, self.wishes, log)
        self.nodes = [
            Node(run, log, target, host, rank, self.limits)
            for rank, (target, host) in enumerate(zip(reached.targets, reached.hosts, strict=True))
        ]
        self.first = self.nodes[0]

    async def work(self) -> journal.AnyEvent:
        """Raises LoraTuiError; GoesOn where the run goes on there without anybody following."""
        try:
            return await self._work()
        except Ended:
            return journal.Stopped(step=newest_step(self.run))
        except (LoraTuiError, OSError) as error:
            if isinstance(error, GoesOn) or self.reached.rented or not self.first.works:
                raise
            raise _goes_on(error) from error
        finally:
            for node in self.nodes:
                await node.connection.close()

    async def _work(self) -> journal.AnyEvent:
        for node in self.nodes:
            await node.connect(wait=self.reached.rented or self.reached.in_use)
            self._tell_of(node)
        self.reached.connected()
        mirror = Mirror(self.run, self.log, self.first.folder, self.first.ahead)
        status = await self.first.status()
        if status.state != "running":
            await self._catch_up(mirror)
            if not isinstance(mirror.word, journal.Finished):
                mirror.say_word()  # of an earlier start, which nobody had followed to its end
                await self._start(status.attempt)
                status = await self._follow(mirror)
        else:
            self.first.works = True
            status = await self._follow(mirror)
        self.first.works = False
        await self._end_others()
        await self._bring_back(mirror.word)
        if isinstance(mirror.word, journal.Finished):
            await self._tidy_up()
        if self.limits.overdue and isinstance(mirror.word, journal.Stopped):
            return msgspec.structs.replace(mirror.word, reason="the hours of its machine are over")
        return mirror.word or await self._silent_end(status)

    def _tell_of(self, node: Node) -> None:
        if node.ahead:
            side = "ahead of" if node.ahead > 0 else "behind"
            message = (
                f"the clock of {node.name} is {abs(node.ahead):.0f} s {side} the one here; its times are put right"
            )
            self.log.write(journal.Note(message=message))
        if self.reached.rented and not node.has_gpus:
            message = f"no GPU is seen on {node.name}: it trains on its cores, and costs as much"
            self.log.write(journal.Warned(message=message, advice="Stop it, and take another.", code="gpu"))

    async def _start(self, attempts: int) -> None:
        self.limits.end_if_asked()
        if not attempts:
            self.log.write(journal.Remote(peer=self.first.name, kind="job folder", id=self.first.folder))
        try:
            for node in self.nodes:
                is_first = node is self.first
                pieces = seed(
                    self.run, node.rank, journal=is_first and not attempts, checkpoints=not (is_first and attempts)
                )
                number = attempts if is_first else (await node.status()).attempt
                await node.start(self._file(), number + 1, pieces)
        except (LoraTuiError, Ended):  # of several machines, those that were started wait for the others
            for node in self.nodes:
                if node.works:
                    await node.ask(int, "kill", folder=node.folder)
            raise

    def _file(self) -> JobFile:
        """The job as it is sent: of several machines all must know the first one's address."""
        job = self.run.file.job
        assert isinstance(job, Train)
        if job.nnodes == 1 or job.address:
            return self.run.file
        addressed = msgspec.structs.replace(job, address=f"{self.first.address}:{PORT}")
        return msgspec.structs.replace(self.run.file, job=addressed)

    async def _end_others(self) -> None:
        """The further machines end with the first; those that do not are ended."""
        end = time.monotonic() + _OTHERS_SECONDS
        for node in self.nodes[1:]:
            while (await node.status()).state == "running" and time.monotonic() < end:
                await asyncio.sleep(_POLL_SECONDS)
            await node.ask(int, "kill", folder=node.folder)

    async def _follow(self, mirror: Mirror) -> Status:
        """Until the worker there has ended and all it said is here."""
        keeper = Keeper(self.reached.targets[0], self.first.python, self.run, self.log, self.first.folder)
        seen, quiet = 0, 0.0
        keeper.wake()
        try:
            while True:
                moved = await self._catch_up(mirror)
                if mirror.checkpoints > seen:
                    seen = mirror.checkpoints
                    keeper.wake()
                if moved:
                    quiet = time.monotonic()
                if self.limits.now:
                    return await self._kill(mirror)
                if mirror.word is not None or time.monotonic() - quiet > _STATUS_SECONDS:
                    status = await self.first.status()
                    if status.state != "running":
                        while await self._catch_up(mirror):
                            pass
                        return status
                    quiet = time.monotonic()
                self.limits.watch_clock()
                await self.first.patience.do(self._pass_on)
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            await keeper.end()

    async def _catch_up(self, mirror: Mirror) -> bool:
        return await self.first.patience.do(lambda: mirror.catch_up(self.first.connection))

    async def _pass_on(self) -> None:
        await self.wishes.pass_on(self.first.connection, self.first.folder)

    async def _kill(self, mirror: Mirror) -> Status:
        for node in self.nodes:
            await node.ask(int, "kill", folder=node.folder)
        await self._catch_up(mirror)
        mirror.word = mirror.word or journal.Stopped(step=newest_step(self.run), reason="ended at once, as asked")
        return await self.first.status()

    async def _bring_back(self, word: journal.AnyEvent | None) -> None:
        """Everything that is worth keeping; the adapter of a run that has finished."""
        patience, python, folder = self.first.patience, self.first.python, self.first.folder
        stage = f"bring back from {self.first.name}"
        self.log.write(journal.Progress(stage=stage, done=0))
        await keep(patience, python, self.run, folder)
        await fetch_beside(patience, python, folder, self.run.folder, _REPORTS)
        if isinstance(word, journal.Finished) and not (self.run.folder / ADAPTER).is_dir():
            try:
                await fetch(
                    patience,
                    python,
                    f"{folder}/{ADAPTER}",
                    self.run.folder / ADAPTER,
                    told=self.first.tell(stage),
                    finish=self._name_base,
                )
            except Gone:
                raise LoraTuiError(
                    "the run has finished there, and its adapter is gone", where=f"{self.first.name}, {folder}"
                ) from None

    async def _tidy_up(self) -> None:
        """What a finished run needs no more, and that takes the most room. A rented machine goes as a whole."""
        for node in self.nodes if not self.reached.rented else ():
            for name in _SPENT:
                await node.ask(None, "remove", folder=f"{node.folder}/{name}")

    def _name_base(self, adapter: Path) -> None:
        """Let the adapter name its base as it is called here."""
        job = self.run.file.job
        assert isinstance(job, Train)
        path = adapter / "adapter_config.json"
        config = msgspec.json.decode(path.read_bytes(), type=dict[str, object])
        config["base_model_name_or_path"] = job.base
        path.write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=2))

    async def _silent_end(self, status: Status) -> journal.AnyEvent:
        """The last word for a worker that said none."""
        fix = "lora-tui runs resume goes on from the last checkpoint."
        if status.state == "none":
            reason = f"the run's folder on {self.first.name} is gone, and its worker with it"
            return journal.Failed(reason=reason, where=f"{self.first.name}, {self.first.folder}", fix=fix)
        if status.state == "lost":
            reason = f"the worker on {self.first.name} ended without a word: it was killed, or the machine restarted"
            return journal.Failed(reason=reason, fix=fix)
        said = _last_line(self.run.folder / LOGS[1])
        reason = f"the worker on {self.first.name} ended with code {status.code}" + (f": {said}" if said else "")
        return journal.Failed(reason=reason, where=f"{self.first.name}, {self.first.folder}/{LOGS[1]}", fix=fix)


def _goes_on(error: LoraTuiError | OSError) -> GoesOn:
    """For one's own machine, whose worker knows nothing of what went wrong here."""
    fix = "The run goes on there: lora-tui runs resume follows it again."
    if isinstance(error, LoraTuiError):
        return GoesOn(error.what, where=error.where, fix=f"{error.fix} {fix}".strip())
    what = f"a file here cannot be read or written: {error.strerror or error}"
    return GoesOn(what, where=str(error.filename or ""), fix=f"Free some space, or give yourself the right. {fix}")


def newest_step(run: Run) -> int:
    """Of the newest checkpoint that is here; 0: there is none."""
    here = checkpoints_here(run)
    return int(here[-1].name.rpartition("-")[2]) if here else 0


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return hidden(lines[-1].strip()) if lines else ""
