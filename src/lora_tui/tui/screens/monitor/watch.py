"""Looking at the workspace's runs, in a thread: each look gives one immutable picture of what is there now.

A journal is read on from where the last look stopped, so a look costs what was written since, not what there is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from lora_tui.jobs import attached, journal, supervisor
from lora_tui.jobs.job import Cycle, Export, Foreign, Merge, Sweep, Train, Verify, load_job
from lora_tui.jobs.pace import ToGo
from lora_tui.jobs.replay import Replay
from lora_tui.jobs.story import Story
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.tui.screens.monitor.alerts import Alert, alerts
from lora_tui.tui.screens.monitor.event_lines import log_line
from lora_tui.tui.screens.monitor.points import Points, Telling
from lora_tui.tui.widgets.log_tail import last_lines
from lora_tui.tui.wording import endpoint_name
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

_ALL_EVERY = 5  # looks: a run that is over changes only when someone resumes it elsewhere
_LOG_LINES = 200
_STDERR_LINES = 6
REPLAY = "replay"  # how a played back run stands


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
    origin: str = ""  # 'foreign', or 'attached' where it lies elsewhere


class Played(msgspec.Struct, frozen=True):
    """Where a playback stands."""

    moment: float  # epoch seconds, of the journal
    speed: int
    playing: bool
    ended: bool


class Detail(msgspec.Struct, frozen=True):
    """The chosen run as it is, or as it was at a moment of its playback."""

    row: RunRow
    last: journal.Metrics | None
    epochs: float
    to_go: ToGo | None
    quiet: float  # seconds since its last step, where that is much longer than a step takes; else 0
    checkpoint: int | None
    best: int | None
    hardware: journal.Hardware | None
    progress: journal.Progress | None
    stopping: bool
    pausing: bool
    failure: str
    passed: tuple[int, int] | None
    general: tuple[journal.General, ...]
    alerts: tuple[Alert, ...]
    log: tuple[str, ...]
    samples: Sequence[journal.Sample]
    evaluations: Sequence[journal.Evaluation]
    played: Played | None = None
    of_sweep: bool = False  # whether it is one of a sweep's runs
    cost: float | None = None  # USD so far; None: it costs nothing elsewhere
    expected: float = 0.0  # what of it is an estimate of what a job will have cost

    @property
    def foreign(self) -> bool:
        """Whether another program trains it."""
        return self.row.kind == "foreign"


class Track(msgspec.Struct, frozen=True):
    """What is new of one run's curves; all of it when `fresh`."""

    id: str
    title: str
    total: int
    fresh: bool
    points: Mapping[str, Points]


class Look(msgspec.Struct, frozen=True):
    """Every run, newest first, the chosen one, and the curves of it and of the marked ones."""

    rows: tuple[RunRow, ...]
    detail: Detail | None
    tracks: tuple[Track, ...] = ()


class _Watched:
    """A run's view with what was told of it already."""

    def __init__(self, run: Run, clock: Callable[[], float]) -> None:
        self.view = RunView(run)
        self._clock = clock
        self.log: list[str] = []
        self._telling = Telling()

    def read(self) -> None:
        self.log += [line for event in self.view.refresh() if (line := log_line(event))]
        del self.log[:-_LOG_LINES]

    def row(self) -> RunRow:
        return row_of(self.view, self.view.run, self.view.standing)

    def track(self) -> Track:
        view = self.view
        fresh, points = self._telling.new(view, over=view.state != "running")
        return Track(view.run.id, _title(view.run), view.total_steps, fresh, points)

    def detail(self) -> Detail:
        view, run = self.view, self.view.run
        working = view.state == "running"
        made = detail_of(view, self.row(), run, self._lines())
        asked = {name for name in (supervisor.STOP, supervisor.PAUSE) if working and (run.folder / name).exists()}
        quiet = self._clock() - view.metrics[-1].time if view.metrics and working and not view.paused else 0.0
        usual = view.pace.step_seconds or 0.0
        return msgspec.structs.replace(
            made,
            to_go=view.to_go if working and not view.paused else None,
            quiet=quiet if quiet > max(60.0, 10 * usual) else 0.0,
            stopping=supervisor.STOP in asked,
            pausing=supervisor.PAUSE in asked and not view.paused,
            failure=view.failure,
            cost=view.spending.so_far(self._clock()),
            expected=view.spending.expected,
        )

    def _lines(self) -> tuple[str, ...]:
        """The journal's lines; what stderr said last, mostly warnings, stands below them only after a failure."""
        printed = last_lines(self.view.run.folder / "stderr.log")[-_STDERR_LINES:]
        return (*self.log, *printed) if self.view.state == "failed" else (*printed, *self.log)


class _Replayed:
    """A run's journal from the beginning, played back."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.replay = Replay(RunView(run).history())
        self._telling = Telling()

    def track(self) -> Track:
        story = self.replay.story
        fresh, points = self._telling.new(story, over=False, attempt=self.replay.times)
        return Track(f"{REPLAY} {self._run.id}", _title(self._run), story.total_steps, fresh, points)

    def detail(self) -> Detail:
        replay, story = self.replay, self.replay.story
        told = replay.events[max(0, replay.told - 50 * _LOG_LINES) : replay.told]
        lines = [line for event in told if (line := log_line(event))][-_LOG_LINES:]
        made = detail_of(story, row_of(story, self._run, REPLAY), self._run, tuple(lines))
        moment = Played(story.last_time, replay.speed, replay.playing, replay.ended)
        return msgspec.structs.replace(made, to_go=story.to_go, played=moment)


def row_of(story: Story, run: Run, standing: str) -> RunRow:
    """A run's line in the list, at the moment the story has come to."""
    done, total = story.step, story.total_steps
    if not story.metrics and story.progress is not None:
        done, total = story.progress.done, story.progress.total or total
    if isinstance(story.last_word, journal.Finished):
        done = total = story.last_word.steps or total
    return RunRow(
        id=run.id,
        title=_title(run),
        kind=str(run.file.job.__struct_config__.tag),
        state=standing,
        done=done,
        total=total,
        loss=story.metrics[-1].loss if story.metrics else None,
        created=run.file.created,
    )


def detail_of(story: Story, row: RunRow, run: Run, log: tuple[str, ...]) -> Detail:
    """What the story alone tells; what only a living process can is filled in by the caller."""
    job = run.file.job
    epochs = job.profile.training.num_train_epochs if isinstance(job, Train) else 0.0
    if isinstance(job, Train) and job.profile.training.max_steps > 0:
        epochs = 0.0
    rates = story.pass_rates()
    return Detail(
        row=row,
        last=story.metrics[-1] if story.metrics else None,
        epochs=epochs,
        to_go=None,
        quiet=0.0,
        checkpoint=story.checkpoints[-1].step if story.checkpoints else None,
        best=story.best.step if story.best is not None else None,
        hardware=story.hardware,
        progress=story.progress,
        stopping=False,
        pausing=False,
        failure="",
        passed=rates[-1][1:] if rates else None,
        general=tuple(story.general[:1] + story.general[-1:]),
        alerts=alerts(story),
        log=log,
        samples=tuple(story.samples),
        evaluations=tuple(story.evaluations),
        of_sweep=isinstance(job, Train) and bool(job.sweep),
    )


def _title(run: Run) -> str:
    job = run.file.job
    if isinstance(job, Verify):
        return f"{Path(job.suite).stem}: {endpoint_name(job.tuned)} against {endpoint_name(job.baseline)}"
    if isinstance(job, Train) and job.sweep:
        return run.file.title.rpartition(": ")[2]  # what is different in it
    return run.file.title


class Watch:
    """Keeps a view of every training, verification, merge and export of a workspace, and of those attached to it.

    Used by one thread at a time.
    """

    def __init__(self, workspace: Workspace, clock: Callable[[], float]) -> None:
        self._workspace = workspace
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._attached: set[str] = set()
        self._others: set[str] = set()  # runs of other kinds
        self._looks = 0
        self._replayed: _Replayed | None = None

    def run(self, identity: str) -> Run:
        """A run that a look has shown."""
        return self._watched[identity].view.run

    @property
    def replay(self) -> Replay | None:
        """The playback, if there is one."""
        return self._replayed.replay if self._replayed is not None else None

    def begin_replay(self, identity: str) -> None:
        """Play a run back from its beginning."""
        self._replayed = _Replayed(self.run(identity))

    def end_replay(self) -> None:
        """Back to what is."""
        self._replayed = None

    def find_attached(self) -> None:
        """Look at once for what was attached or forgotten."""
        self._looks = 0

    def look(self, chosen: str, marked: Sequence[str] = ()) -> Look:
        """Read what is new. `chosen` is the run whose detail is wanted; '' the newest, a running one if there is.

        `marked` runs are laid over each other: their curves are told too.
        """
        self._find()
        laid_over = {*marked, *self._of_sweep(chosen)}
        for identity, watched in self._watched.items():
            over = watched.view.state not in ("running", "new")
            wanted = identity == chosen or identity in laid_over
            if not over or wanted or self._looks % _ALL_EVERY == 0 or not watched.view.first_time:
                watched.read()
        self._looks += 1
        rows = tuple(sorted(map(self._row, self._watched.values()), key=_newest, reverse=True))
        if chosen not in self._watched:
            chosen = next((row.id for row in rows if row.state == "running"), rows[0].id if rows else "")
        if not chosen:
            return Look(rows=rows, detail=None)
        shown = self._replayed or self._watched[chosen]
        if not marked and self._replayed is None and (runs := self._of_sweep(chosen)):
            return Look(rows=rows, detail=shown.detail(), tracks=tuple(self._watched[name].track() for name in runs))
        others = [self._watched[identity] for identity in marked if identity in self._watched and identity != chosen]
        return Look(rows=rows, detail=shown.detail(), tracks=(shown.track(), *(watched.track() for watched in others)))

    def _of_sweep(self, identity: str) -> list[str]:
        """The runs of a sweep that have begun; their curves are shown over each other in place of its own."""
        watched = self._watched.get(identity)
        if watched is None or not isinstance(job := watched.view.run.file.job, Sweep):
            return []
        return [item.run for item in job.trials if item.run in self._watched and self._watched[item.run].view.metrics]

    def _row(self, watched: _Watched) -> RunRow:
        row = watched.row()
        elsewhere = "foreign" if row.kind == "foreign" else "attached" if row.id in self._attached else ""
        return msgspec.structs.replace(row, origin=elsewhere) if elsewhere else row

    def _find(self) -> None:
        try:
            present = {path.name for path in self._workspace.runs.iterdir()}
        except FileNotFoundError:
            present = set()
        if self._looks % _ALL_EVERY == 0:
            self._find_attached(present)
        for gone in self._watched.keys() - present - self._attached:
            del self._watched[gone]
        for name in present - self._watched.keys() - self._others:
            folder = self._workspace.runs / name
            with contextlib.suppress(LoraTuiError):  # a folder in the making: the next look finds it whole
                self._take(name, Run(folder=folder, file=load_job(folder / "job.toml")))

    def _find_attached(self, own: set[str]) -> None:
        found: list[Run] = []
        with contextlib.suppress(LoraTuiError):  # attached.toml is damaged: `runs list` says so
            found = [run for run in attached.elsewhere(self._workspace) if run.id not in own]
        self._attached = {run.id for run in found}
        for run in found:
            if run.id not in self._watched:
                self._take(run.id, run)

    def _take(self, name: str, run: Run) -> None:
        if isinstance(run.file.job, Train | Verify | Foreign | Sweep | Merge | Export | Cycle):
            self._watched[name] = _Watched(run, self._clock)
        else:
            self._others.add(name)


def _newest(row: RunRow) -> tuple[float, str]:
    return row.created, row.id
