"""Going through a cycle's steps: each is done once, journalled, and left out when the journal says it is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from lora_tui.adapters import registry
from lora_tui.adapters.registry import Adapter
from lora_tui.backends.counting import Cancelled
from lora_tui.cycle import gathering, judging, promoting, rows, training
from lora_tui.cycle.earlier import NOTHING, PROMOTED, REFUSED
from lora_tui.cycle.ground import STEPS, Ground, Step, done
from lora_tui.cycle.page import PAGE, page
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Cycle, load_job
from lora_tui.jobs.journal import CycleStep
from lora_tui.jobs.supervisor import STOP, Run
from lora_tui.jobs.view import RunView
from lora_tui.verify.reports import report
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

_LOOK_SECONDS = 0.2
_TELL_SECONDS = 1.0


class _Stopped(Exception):
    """Somebody asked for it."""


class Conduct:
    """One process's work on a cycle."""

    STEPS = len(STEPS)

    def __init__(self, run: Run, log: journal.Journal) -> None:
        assert isinstance(run.file.job, Cycle)
        self._run, self._log = run, log
        self._workspace = Workspace(Path(run.file.workspace))
        view = RunView.of(run)
        self._taken = dict(view.steps_taken)
        self._begun = view.first_time or time.time()
        self._told = 0.0
        self._train, self._verify = (supervisor.part(run, kind).name for kind in ("train", "verify"))
        ground = Ground.of(self._workspace, run.file.job, self._tell)
        self._ground = msgspec.structs.replace(ground, cancelled=self._asked_to_stop)
        if (trained_from := self._compared_with()) is not None:
            self._ground = msgspec.structs.replace(self._ground, production=trained_from[0])

    def run(self) -> None:
        """Every step that is missing. Raises LoraTuiError where one fails; asked to stop, it ends with that word."""
        try:
            outcome = self._through()
        except (_Stopped, Cancelled):
            self._log.write(journal.Stopped(step=len(self._taken)))
            return
        steps = [self._taken[name] for name in STEPS if name in self._taken]
        text = page(self._ground.profile.name, self._run.id, outcome, steps, self._workspace)
        atomic.write_text(self._run.folder / PAGE, text)
        self._log.write(journal.Finished(steps=len(steps), seconds=time.time() - self._begun, output=outcome))

    def _through(self) -> str:
        work: dict[Step, Callable[[], CycleStep]] = {
            "ingest": lambda: gathering.read_new(self._ground),
            "accept": lambda: gathering.accept_by_rule(self._ground),
            "dataset": lambda: rows.next_version(self._ground),
            "plan": lambda: training.look_ahead(self._ground, self._made("dataset")),
            "train": self._trained,
            "verify": self._verified,
            "promote": lambda: promoting.promoted(self._ground, self._adapter(), f"cycle {self._run.id}"),
            "opencode": lambda: promoting.wired(self._ground),
        }
        for number, (name, do) in enumerate(work.items()):
            if name not in self._taken:
                if self._asked_to_stop():
                    raise _Stopped
                self._log.write(journal.Progress(stage=name, done=0, total=0))
                step = do()
                self._log.write(step)
                self._taken[name] = step
            self._log.write(journal.Progress(stage="steps", done=number + 1, total=len(STEPS)))
            outcome = self._taken[name].outcome
            if outcome == "refused":
                return REFUSED
            if outcome == "nothing" and name == "dataset":
                return NOTHING
        return PROMOTED

    def _trained(self) -> CycleStep:
        view = self._finished(self._train, lambda: training.prepared(self._ground, self._made("dataset"), self._train))
        adapter = self._adapter()
        loss = view.metrics[-1].loss if view.metrics else None
        said = f"{adapter.label} after {view.step} steps" + ("" if loss is None else f", loss {loss:.3f}")
        more = [] if view.forgotten is None else [f"general loss {view.forgotten:+.3f} nats a token"]
        return done("train", said, *more, f"run {self._train}", made=adapter.label)

    def _verified(self) -> CycleStep:
        *others, own = judging.suites(self._ground)
        for number, suite in enumerate(others, start=1):
            self._asked(suite, supervisor.part(self._run, f"verify{number}").name)
        self._asked(own, self._verify)
        return judging.judged(report.load(self._workspace.reports / self._verify))

    def _asked(self, suite: str, identity: str) -> None:
        self._finished(identity, lambda: judging.prepared(self._ground, self._adapter(), suite, identity))

    def _adapter(self) -> Adapter:
        found = training.made_by(self._ground, self._train)
        if found is None:
            raise LoraTuiError("the adapter that was trained is not in the registry", where=self._train)
        return found

    def _made(self, name: Step) -> str:
        return self._taken[name].made

    def _finished(self, identity: str, prepare: Callable[[], Run]) -> RunView:
        """The run of this name once it has finished, made and started where it is not yet. Raises LoraTuiError."""
        folder = self._workspace.runs / identity
        made = (folder / "job.toml").is_file()
        run = Run(folder=folder, file=load_job(folder / "job.toml")) if made else prepare()
        view = RunView.of(run)
        if view.state not in ("finished", "running"):
            supervisor.start(run)
        while supervisor.is_alive(run):
            if self._asked_to_stop():
                (run.folder / STOP).touch()
            time.sleep(_LOOK_SECONDS)
        view.refresh()
        if view.state == "stopped" and isinstance(view.last_word, journal.Stopped) and view.last_word.reason:
            raise LoraTuiError(f"the run stopped itself: {view.last_word.reason}", where=identity)
        if view.state == "stopped" or (view.state != "finished" and self._asked_to_stop()):
            raise _Stopped
        if view.state != "finished":
            raise LoraTuiError(view.failure, where=identity)
        return view

    def _compared_with(self) -> tuple[Adapter | None] | None:
        """What was in production when the training began, which a promotion by this very cycle may have changed."""
        path = self._workspace.runs / self._verify / "job.toml"
        if not path.is_file():
            return None
        job = load_job(path).job
        kind, _, label = getattr(job, "baseline", "").partition(":")
        return (registry.find(self._workspace, label),) if kind == "adapter" else (None,)

    def _asked_to_stop(self) -> bool:
        return (self._run.folder / STOP).exists()

    def _tell(self, stage: str, at: int, of: int) -> None:
        if time.monotonic() - self._told > _TELL_SECONDS:
            self._told = time.monotonic()
            self._log.write(journal.Progress(stage=stage, done=max(at, 1), total=of))
