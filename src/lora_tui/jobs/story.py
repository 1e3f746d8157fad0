"""A run's events folded into what they tell: the live monitor folds them all, a replay those up to a moment."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from lora_tui.jobs import journal
from lora_tui.jobs.checks import verdict
from lora_tui.jobs.pace import Pace, ToGo
from lora_tui.jobs.spending import Spending

_SILENCE = 900.0  # seconds without an event that a working process does not reach: a clock was set, or a machine slept


@dataclass
class Story:
    """What the events so far tell."""

    started: journal.Started | None = None
    metrics: list[journal.Metrics] = field(default_factory=list)
    evaluations: list[journal.Evaluation] = field(default_factory=list)
    checkpoints: list[journal.Checkpoint] = field(default_factory=list)
    samples: list[journal.Sample] = field(default_factory=list)
    general: list[journal.General] = field(default_factory=list)
    out_of_memory: list[journal.OutOfMemory] = field(default_factory=list)
    warnings: list[journal.Warned] = field(default_factory=list)
    answers: dict[tuple[int, str, int], journal.Answer] = field(default_factory=dict)  # by prompt, side, sample
    partial: dict[tuple[int, str, int], str] = field(default_factory=dict)  # answers being generated
    faults: list[journal.Fault] = field(default_factory=list)  # of endpoints
    tried: dict[str, journal.Tried] = field(default_factory=dict)  # a sweep's runs that ended, by id
    steps_taken: dict[str, journal.CycleStep] = field(default_factory=dict)  # of a cycle, by name
    hardware: journal.Hardware | None = None
    progress: journal.Progress | None = None
    paused: bool = False
    began: float = 0.0  # when it was last started by somebody
    first_time: float = 0.0
    last_time: float = 0.0
    worked: float = 0.0  # seconds, over all of the run's processes; a clock that was set adds nothing
    last_word: journal.AnyEvent | None = None  # starting, started, stopped, finished or failed
    pace: Pace = field(default_factory=Pace)
    spending: Spending = field(default_factory=Spending)
    _elsewhere: bool = False  # some of it was said on another machine

    def fold(self, event: journal.AnyEvent) -> None:
        """Take one event in."""
        self.first_time = self.first_time or event.time
        passed = event.time - (self.last_time or event.time)
        if 0 < passed < _SILENCE and not isinstance(event, journal.Starting):
            self.worked += passed
        self._elsewhere |= event.origin > 0
        # what is caught up with after words said here is of the same time, and counts once
        self.last_time = max(event.time, self.last_time) if self._elsewhere else event.time
        self.pace.feed(event)
        self.spending.fold(event)
        match event:
            case journal.Starting():
                self.last_word = event
                self.began = event.time
                self.paused = False
                self.partial.clear()
            case journal.Started():
                self.started = self.last_word = event
                self.paused = False
                self._forget_after(event.resumed_from or -1)
            case journal.Metrics():
                self.metrics.append(event)
            case journal.Evaluation():
                self.evaluations.append(event)
            case journal.Checkpoint():
                self.checkpoints.append(event)
            case journal.Sample():
                self.samples.append(event)
            case journal.General():
                self.general.append(event)
            case journal.OutOfMemory():
                self.out_of_memory.append(event)
            case journal.Paused():
                self.paused = True
            case journal.Continued():
                self.paused = False
            case journal.Warned():
                self.warnings.append(event)
            case journal.Hardware():
                self.hardware = event
            case journal.Progress():
                self.progress = event
            case journal.AnswerDelta():
                place = (event.prompt, event.side, event.sample)
                self.partial[place] = self.partial.get(place, "") + event.text
            case journal.Answer():
                self.answers[event.place] = event
                self.partial.pop(event.place, None)
            case journal.Judged() if event.place in self.answers:
                self.answers[event.place] = msgspec.structs.replace(self.answers[event.place], checks=event.checks)
            case journal.Again():
                self.answers = {place: answer for place, answer in self.answers.items() if place[0] != event.prompt}
            case journal.Fault():
                self.faults.append(event)
            case journal.Tried():
                self.tried[event.run] = event
            case journal.CycleStep():
                self.steps_taken[event.step] = event
            case journal.Stopped() | journal.Finished() | journal.Failed():
                self.last_word = event
                self.paused = False

    def _forget_after(self, step: int) -> None:
        """What came after that checkpoint is made again."""
        self.metrics = [item for item in self.metrics if item.step <= step]
        self.evaluations = [item for item in self.evaluations if item.step <= step]
        self.samples = [item for item in self.samples if item.step <= step]
        self.checkpoints = [item for item in self.checkpoints if item.step <= step]
        self.general = [item for item in self.general if item.step <= step]

    @property
    def step(self) -> int:
        """Optimizer steps done; else answers of a verification, runs of a sweep, steps of a cycle that ended."""
        return self.metrics[-1].step if self.metrics else len(self.answers) or len(self.tried) or len(self.steps_taken)

    @property
    def total_steps(self) -> int:
        """Optimizer steps planned; 0 when not known yet."""
        return self.started.total_steps if self.started else 0

    @property
    def to_go(self) -> ToGo | None:
        """Time to the end at the pace of late; None before the first step, or where the end is not known."""
        return self.pace.to_go(self.total_steps - self.step) if self.total_steps else None

    @property
    def best(self) -> journal.Checkpoint | None:
        """The checkpoint with the lowest eval loss, where the run keeps count of that."""
        return next((item for item in reversed(self.checkpoints) if item.best), None)

    def pass_rates(self) -> list[tuple[int, int, int]]:
        """How the suite's prompts fare by step: the step, the prompts all of whose checks were met, and of how many."""
        rates: dict[int, list[bool]] = {}
        for sample in self.samples:
            if sample.checks and (said := verdict(sample.checks)) != "not run":
                rates.setdefault(sample.step, []).append(said == "passed")
        return [(step, sum(met), len(met)) for step, met in rates.items()]

    @property
    def forgotten(self) -> float | None:
        """How far the general loss has risen since the start, in nats per token; None where it was not measured."""
        return self.general[-1].loss - self.general[0].loss if len(self.general) > 1 else None
