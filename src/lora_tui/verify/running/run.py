"""A verification run: every prompt of a suite to every side, journalled as it happens, a report at the end."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from lora_tui.adapters import registry
from lora_tui.jobs import supervisor
from lora_tui.jobs.checks import CODE_KINDS
from lora_tui.jobs.job import JobFile, Verify
from lora_tui.jobs.journal import (
    Again,
    Answer,
    AnyEvent,
    Asked,
    Check,
    Failed,
    Fault,
    Finished,
    Identified,
    Journal,
    JournalReader,
    Progress,
    Started,
    Stopped,
)
from lora_tui.jobs.supervisor import Run
from lora_tui.verify.asking import VOIDING, Endpoint, EndpointFault, Identity, Sampling
from lora_tui.verify.code_checks import checked
from lora_tui.verify.endpoints import Patience, check_name, opened
from lora_tui.verify.judge import in_run
from lora_tui.verify.reports import files as report_files
from lora_tui.verify.reports.concluding import Heard, conclude
from lora_tui.verify.reports.gates import evaluate
from lora_tui.verify.reports.report import BASELINE, TUNED
from lora_tui.verify.running import asked_suite
from lora_tui.verify.running.asked_suite import suite_of
from lora_tui.verify.running.kept import Kept
from lora_tui.verify.running.lane import Lane
from lora_tui.verify.running.order import Place, rounds, samples_of
from lora_tui.verify.running.peaks import Peaks
from lora_tui.verify.running.slots import Slots
from lora_tui.verify.running.warm_up import WarmUp
from lora_tui.verify.suites.suite import Case, Suite, load_suite
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.keys import hidden
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import conditions

ANSWERS = "answers"  # the stage in which they come
SAMPLED = 0.7  # the temperature of several samples where none is said
_PROGRESS_SECONDS = 0.2
_SPOKEN = {BASELINE: "the baseline", TUNED: "the fine-tune"}


def create(
    workspace: Workspace,
    suite: str,
    baseline: str,
    tuned: str,
    max_tokens: int = 256,
    *,
    others: Sequence[str] = (),
    samples: int = 0,
    temperature: float | None = None,
    seed: int = 0,
    at_once: int = 0,
    timeout: float = 0.0,
    fresh: bool = False,
    gates: Sequence[str] = (),
    profile: str = "",
    judge: str = "",
    identity: str = "",
) -> Run:
    """A new verification run, not started yet; `identity` is the name of its own.

    Raises BadInput for an unknown suite, endpoint or gate.
    """
    found = load_suite(workspace, suite)
    for text in gates:
        conditions.read(text)
    for name in (baseline, tuned, *others, *([judge] if judge else [])):
        check_name(workspace, name)
    if samples > 1 and temperature == 0:
        raise BadInput("greedy samples of a prompt are all alike", fix="Leave --samples away, or give a temperature.")
    job = Verify(
        suite=str(found.path.absolute()),
        baseline=_pinned(workspace, baseline),
        tuned=_pinned(workspace, tuned),
        report=str(workspace.reports),
        max_tokens=max_tokens,
        others=tuple(_pinned(workspace, name) for name in others),
        samples=samples,
        temperature=temperature,
        seed=seed,
        at_once=at_once,
        timeout=timeout,
        fresh=fresh,
        gates=tuple(gates),
        profile=profile,
        judge=judge,
    )
    made = supervisor.create(workspace, job, f"{found.name}: {job.tuned} against {job.baseline}", identity=identity)
    asked_suite.keep(made.folder, found)
    return made


def _pinned(workspace: Workspace, name: str) -> str:
    """What a name means now and here: an adapter's version, which the report must still say, and a base's folder."""
    kind, _, rest = name.partition(":")
    if kind == "base" and Path(rest).is_dir():
        return f"base:{Path(rest).absolute()}"
    return f"adapter:{registry.find(workspace, rest).label}" if kind == "adapter" else name


def create_free(workspace: Workspace, prompt: str, baseline: str, tuned: str, max_tokens: int = 256) -> Run:
    """A run that asks both sides one prompt that nothing is expected of; it makes no report."""
    for name in (baseline, tuned):
        check_name(workspace, name)
    if not prompt.strip():
        raise BadInput("there is nothing to ask")
    baseline, tuned = _pinned(workspace, baseline), _pinned(workspace, tuned)
    job = Verify(suite="", baseline=baseline, tuned=tuned, report="", max_tokens=max_tokens, prompt=prompt)
    return supervisor.create(workspace, job, f"free prompt: {tuned} against {baseline}")


def ask_again(run: Run, prompt: int) -> None:
    """Have one prompt (from 0) of an ended run asked again of every side, and start it; its report is made anew."""
    suite = suite_of(run.file.job, run.folder)
    if not 0 <= prompt < len(suite.cases):
        raise BadInput(f"there is no prompt {prompt + 1}", where=run.id)
    if supervisor.is_alive(run):
        raise BadInput("this run is working", where=run.id, fix="Wait for it, or stop it.")
    log = Journal(run.journal)
    try:
        log.write(Again(prompt=prompt))
    finally:
        log.close()
    supervisor.start(run)


def sides_of(job: Verify) -> dict[str, str]:
    """Its endpoints as typed, by their labels."""
    others = {f"other {number}": name for number, name in enumerate(job.others, start=1)}
    return {BASELINE: job.baseline, TUNED: job.tuned, **others}


def sampling_of(job: Verify, suite: Suite) -> Sampling:
    """How its answers are drawn: greedily where there is one of each prompt and nothing else is said."""
    several = (job.samples or suite.repeat) > 1 or any(case.repeat > 1 for case in suite.cases if not job.samples)
    drawn = SAMPLED if several else 0.0
    return Sampling(drawn if job.temperature is None else job.temperature, job.max_tokens, job.seed)


def run(folder: Path, file: JobFile) -> None:
    """Do the job of a run folder; answers that its journal already holds are not asked for again."""
    assert isinstance(file.job, Verify)
    heard = Heard.of(JournalReader(folder / "journal.jsonl").read())
    log = Journal(folder / "journal.jsonl")
    log.keep_room()
    try:
        asyncio.run(_Verification(folder, file, file.job, log, heard).run())
    except LoraTuiError as error:
        log.write(Failed(reason=error.what, where=error.where, fix=error.fix))
        raise
    except BaseException as error:
        log.write(Failed(reason=f"this is a bug in lora-tui: {error!r}", where=str(folder / "stderr.log")))
        raise
    finally:
        log.close()


class _Verification:
    """One process's work on a run."""

    def __init__(self, folder: Path, file: JobFile, job: Verify, log: Journal, heard: Heard) -> None:
        self._folder, self._file, self._job, self._log, self._heard = folder, file, job, log, heard
        self._workspace = Workspace(Path(file.workspace))
        self._suite = suite_of(job, folder)
        self._sampling = sampling_of(job, self._suite)
        self._sides = sides_of(job)
        samples = samples_of(self._suite, job.samples, self._sampling.temperature == 0)
        self._samples = max(samples, default=0)
        self._rounds = rounds(list(self._sides), samples, job.seed)
        self._total = sum(len(places) for _, places in self._rounds)
        self._told = 0.0
        self._processes: dict[int, list[str]] = {}  # the sides that each answers for
        self._slots: dict[str, Slots] = {}  # by server: what one side found out holds for the other

    async def run(self) -> None:
        """Ask what is missing, then conclude."""
        begun = time.time()
        resumed = 0 if self._heard.void else len(self._good())
        self._write(
            Started(pid=os.getpid(), host=socket.gethostname(), total_steps=self._total, resumed_from=resumed or None)
        )
        is_missing = any(self._missing(places) for _, places in self._rounds)
        if (is_missing or self._heard.unproven) and not await self._ask():
            self._write(Stopped(step=len(self._good())))
            return
        if self._job.prompt:
            self._write(Finished(steps=self._total, seconds=time.time() - begun))
            return
        if not await self._judge():
            self._write(Stopped(step=len(self._good())))
            return
        made = conclude(
            self._file.id,
            self._suite,
            self._sides,
            self._heard,
            sampling=self._sampling,
            samples=self._samples,
            seconds=time.time() - begun,
            profile=self._job.profile,
            judge=self._job.judge,
        )
        made = msgspec.structs.replace(made, gates=evaluate(self._workspace, made, self._job.gates))
        report_files.write(made, Path(self._job.report) / self._file.id)
        self._write(Finished(steps=self._total, seconds=time.time() - begun, output=self._file.id))

    def _missing(self, places: Sequence[Place]) -> list[Place]:
        good = self._good()
        return [place for place in places if tuple(place) not in good]

    def _good(self) -> set[tuple[int, str, int]]:
        return {place for place, answer in self._heard.answers.items() if not answer.error}

    async def _ask(self) -> bool:
        """Ask every side what is missing of it, and see who answered in the end; False when it was stopped."""
        names = list(self._sides.values())
        async with opened(self._workspace, names, self._folder, patience=self._patience, tell=self._tell) as found:
            endpoints = dict(zip(self._sides, found, strict=True))
            identities = {side: await self._identify(side, endpoint) for side, endpoint in endpoints.items()}
            for side, identity in identities.items():
                self._write(self._identified(side, identity))
            rounds = [(side, missing) for side, places in self._rounds if (missing := self._missing(places))]
            if rounds and not await self._ask_rounds(rounds, endpoints, identities):
                return False
            for side, endpoint in endpoints.items():
                await self._still(side, endpoint, identities[side])
        return True

    async def _ask_rounds(
        self,
        rounds: Sequence[tuple[str, Sequence[Place]]],
        endpoints: Mapping[str, Endpoint],
        identities: Mapping[str, Identity],
    ) -> bool:
        warm_up = WarmUp(self._suite)
        warmed = {side: await self._warm(warm_up, side, endpoint) for side, endpoint in endpoints.items()}
        self._tell_answers()
        lanes = {side: self._lane(side, endpoints[side], identities[side], warm_up) for side in endpoints}
        for side, places in rounds:
            with Peaks(identities[side].pid) as peaks:
                whole = await lanes[side].ask(places)
            lane = lanes[side]
            self._write(Asked(side, lane.at_once, warmed[side], rss_bytes=peaks.rss, vram_bytes=peaks.vram))
            if not whole:
                return False
        self._tell_answers()
        return True

    async def _still(self, side: str, endpoint: Endpoint, before: Identity) -> None:
        """Raises EndpointFault where another model answers now than before the first question, or none."""
        try:
            now = await endpoint.identify()
            if _who(now) != _who(before):
                raise EndpointFault(
                    "wrong-model",
                    f"{endpoint.name} was started again or given another model while it was asked",
                    fix="Leave it as it is until the end: `lora-tui runs resume` asks everything anew.",
                )
        except EndpointFault as fault:
            if fault.code in VOIDING:
                self._write(Fault(side=side, code=fault.code, message=fault.what, voids=True))
            raise
        self._write(self._identified(side, now))

    async def _judge(self) -> bool:
        """Have a judge read what waits for one; False when it was stopped."""
        if not self._job.judge:
            return True
        return await in_run.read(
            self._workspace,
            self._job.judge,
            self._folder,
            self._suite,
            self._sides,
            self._heard,
            self._write,
            self._is_stopped,
            fresh=self._job.fresh,
            patience=self._patience,
        )

    @property
    def _patience(self) -> Patience | None:
        timeout = self._job.timeout
        return Patience(first=timeout, between=timeout) if timeout else None

    async def _identify(self, side: str, endpoint: Endpoint) -> Identity:
        self._tell(f"ask who {_SPOKEN.get(side, side)} is")
        found = await endpoint.identify()
        if found.pid:
            self._processes.setdefault(found.pid, []).append(side)
        return found

    def _identified(self, side: str, found: Identity) -> Identified:
        return Identified(
            side=side,
            engine=found.engine,
            model=found.model,
            version=hidden(found.version),
            digest=found.digest,
            proven=found.proven,
            notes=tuple(map(hidden, (*found.notes, *self._notes(side, found)))),
        )

    def _notes(self, side: str, found: Identity) -> Iterator[str]:
        """What to know of a comparison that no endpoint knows by itself."""
        beside = [one for one in self._processes.get(found.pid, ()) if one != side]
        if beside:
            yield f"its memory is that of one process, which answers for {' and '.join(beside)} as well"
        if self._sampling.temperature and found.engine == "openai":
            yield "top_p, top_k and penalties of its answers are the server's own settings, not those of other sides"

    async def _warm(self, warm_up: WarmUp, side: str, endpoint: Endpoint) -> float:
        self._tell(f"warm {_SPOKEN.get(side, side)} up")
        try:
            return await warm_up.of(side, endpoint)
        except EndpointFault as fault:
            raise LoraTuiError(
                f"{side} does not answer: {fault.what}", where=fault.where or endpoint.name, fix=fault.fix
            ) from fault

    def _lane(self, side: str, endpoint: Endpoint, identity: Identity, warm_up: WarmUp) -> Lane:
        return Lane(
            side,
            endpoint,
            self._slots.setdefault(endpoint.address, Slots(fixed=self._job.at_once, told=identity.slots)),
            self._suite.cases,
            self._sampling,
            Kept(self._workspace, identity, fresh=self._job.fresh or bool(self._heard.again)),
            warm_up,
            self._check,
            self._write,
            self._is_stopped,
        )

    def _is_stopped(self) -> bool:
        return (self._folder / supervisor.STOP).exists()

    async def _check(self, case: Case, text: str, seconds: float) -> tuple[Check, ...]:
        work = partial(checked, case.expectations, text, seconds=seconds)
        if any(item.kind in CODE_KINDS for item in case.expectations):
            return await asyncio.to_thread(work)
        return work()

    def _write(self, event: AnyEvent) -> None:
        self._log.write(event)
        self._heard.fold(event)
        if isinstance(event, Answer) and (time.monotonic() - self._told > _PROGRESS_SECONDS):
            self._told = time.monotonic()
            self._tell_answers()

    def _tell_answers(self) -> None:
        self._log.write(Progress(stage=ANSWERS, done=len(self._good()), total=self._total))

    def _tell(self, stage: str) -> None:
        self._log.write(Progress(stage=stage, done=0))


def _who(found: Identity) -> tuple[str, str, str, str, int]:
    return found.engine, found.version, found.model, found.digest, found.pid
