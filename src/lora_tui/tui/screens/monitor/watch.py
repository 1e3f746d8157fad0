"""Looking at the workspace's runs, in a thread: each look gives one immutable picture of what is there now.

A journal is read on from where the last look stopped, so a look costs what was written since, not what there is.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from lora_tui.jobs import journal
from lora_tui.jobs.job import Train, Verify, load_job
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.tui.screens.monitor.event_lines import log_line
from lora_tui.tui.widgets.log_tail import last_lines
from lora_tui.tui.wording import endpoint_name
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

Points = tuple[tuple[float, float], ...]

_ALL_EVERY = 5  # looks: a run that is over changes only when someone resumes it elsewhere
_LOG_LINES = 200
_STDERR_LINES = 6
_SAMPLES = 6


class RunRow(msgspec.Struct, frozen=True):
    """What the list shows of a run."""

    id: str
    title: str
    kind: str
    state: str
    done: int
    total: int
    loss: float | None
    created: float


class Detail(msgspec.Struct, frozen=True):
    """The chosen run. The points are those since the last look, or all of them when `fresh`."""

    row: RunRow
    fresh: bool
    loss: Points
    eval_loss: Points
    learning_rate: Points
    pace: Points
    last: journal.Metrics | None
    epochs: float
    eta: float | None
    checkpoint: int | None
    hardware: journal.Hardware | None
    progress: journal.Progress | None
    stopping: bool
    failure: str
    log: tuple[str, ...]
    samples: tuple[journal.Sample, ...]


class Look(msgspec.Struct, frozen=True):
    """Every run, newest first, and the chosen one."""

    rows: tuple[RunRow, ...]
    detail: Detail | None


class _Watched:
    """A run's view with what was told of it already."""

    def __init__(self, run: Run) -> None:
        self.view = RunView(run)
        self.log: list[str] = []
        self._told: tuple[journal.Started | None, int, int] | None = None

    def read(self) -> None:
        self.log += [line for event in self.view.refresh() if (line := log_line(event))]
        del self.log[:-_LOG_LINES]

    def row(self) -> RunRow:
        view, run = self.view, self.view.run
        done, total = view.step, view.total_steps
        if not view.metrics and view.progress is not None:
            done, total = view.progress.done, view.progress.total or total
        if isinstance(view.last_word, journal.Finished):
            done = total = view.last_word.steps or total
        return RunRow(
            id=run.id,
            title=_title(run),
            kind=str(run.file.job.__struct_config__.tag),
            state=view.state,
            done=done,
            total=total,
            loss=view.metrics[-1].loss if view.metrics else None,
            created=run.file.created,
        )

    def detail(self, *, fresh: bool) -> Detail:
        view, run = self.view, self.view.run
        started, metrics, evaluations = self._told or (None, 0, 0)
        fresh = fresh or self._told is None or started is not view.started
        if fresh:
            metrics = evaluations = 0
        steps = view.metrics[metrics:]
        self._told = (view.started, len(view.metrics), len(view.evaluations))
        job = run.file.job
        epochs = job.profile.training.num_train_epochs if isinstance(job, Train) else 0.0
        if isinstance(job, Train) and job.profile.training.max_steps > 0:
            epochs = 0.0
        return Detail(
            row=self.row(),
            fresh=fresh,
            loss=tuple((item.step, item.loss) for item in steps),
            eval_loss=tuple((item.step, item.eval_loss) for item in view.evaluations[evaluations:]),
            learning_rate=tuple((item.step, item.learning_rate) for item in steps),
            pace=tuple((item.step, item.tokens_per_second) for item in steps if item.tokens_per_second),
            last=view.metrics[-1] if view.metrics else None,
            epochs=epochs,
            eta=view.eta_seconds,
            checkpoint=view.checkpoints[-1].step if view.checkpoints else None,
            hardware=view.hardware,
            progress=view.progress,
            stopping=view.state == "running" and (run.folder / "stop").exists(),
            failure=view.failure,
            log=self._lines(),
            samples=tuple(view.samples[-_SAMPLES:]),
        )

    def _lines(self) -> tuple[str, ...]:
        """The journal's lines; what stderr said last, mostly warnings, stands below them only after a failure."""
        printed = last_lines(self.view.run.folder / "stderr.log")[-_STDERR_LINES:]
        return (*self.log, *printed) if self.view.state == "failed" else (*printed, *self.log)


def _title(run: Run) -> str:
    job = run.file.job
    if isinstance(job, Verify):
        return f"{Path(job.suite).stem}: {endpoint_name(job.tuned)} against {endpoint_name(job.baseline)}"
    return run.file.title


class Watch:
    """Keeps a view of every training and verification run of a workspace. Used by one thread at a time."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._watched: dict[str, _Watched] = {}
        self._others: set[str] = set()  # runs of other kinds
        self._looks = 0
        self._shown = ""

    def run(self, identity: str) -> Run:
        """A run that a look has shown."""
        return self._watched[identity].view.run

    def look(self, chosen: str) -> Look:
        """Read what is new. `chosen` is the run whose detail is wanted; '' the newest, a running one if there is."""
        self._find()
        for identity, watched in self._watched.items():
            over = watched.view.state not in ("running", "new")
            if not over or identity == chosen or self._looks % _ALL_EVERY == 0 or not watched.view.first_time:
                watched.read()
        self._looks += 1
        rows = tuple(self._watched[identity].row() for identity in sorted(self._watched, reverse=True))
        if chosen not in self._watched:
            chosen = next((row.id for row in rows if row.state == "running"), rows[0].id if rows else "")
        detail = self._watched[chosen].detail(fresh=chosen != self._shown) if chosen else None
        self._shown = chosen
        return Look(rows=rows, detail=detail)

    def _find(self) -> None:
        try:
            present = {path.name for path in self._workspace.runs.iterdir()}
        except FileNotFoundError:
            present = set()
        for gone in self._watched.keys() - present:
            del self._watched[gone]
        for name in present - self._watched.keys() - self._others:
            folder = self._workspace.runs / name
            with contextlib.suppress(LoraTuiError):  # a folder in the making: the next look finds it whole
                run = Run(folder=folder, file=load_job(folder / "job.toml"))
                if isinstance(run.file.job, Train | Verify):
                    self._watched[name] = _Watched(run)
                else:
                    self._others.add(name)
