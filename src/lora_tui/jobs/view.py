"""A run as its journal tells it: the one view that the monitor, `runs show`, `runs follow` and the tests read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.supervisor import Run, State


@dataclass
class RunView:
    """A run's events, folded. `refresh` reads what was appended since the last time."""

    run: Run
    started: journal.Started | None = None
    metrics: list[journal.Metrics] = field(default_factory=list)
    evaluations: list[journal.Evaluation] = field(default_factory=list)
    checkpoints: list[journal.Checkpoint] = field(default_factory=list)
    samples: list[journal.Sample] = field(default_factory=list)
    general: list[journal.General] = field(default_factory=list)
    out_of_memory: list[journal.OutOfMemory] = field(default_factory=list)
    warnings: list[journal.Warned] = field(default_factory=list)
    answers: dict[tuple[int, str], journal.Answer] = field(default_factory=dict)
    partial: dict[tuple[int, str], str] = field(default_factory=dict)  # answers being generated
    hardware: journal.Hardware | None = None
    progress: journal.Progress | None = None
    paused: bool = False
    first_time: float = 0.0
    last_time: float = 0.0
    last_word: journal.AnyEvent | None = None  # starting, started, stopped, finished or failed
    state: State = "new"

    def __post_init__(self) -> None:
        self._reader = journal.JournalReader(self.run.journal)

    @classmethod
    def of(cls, run: Run) -> RunView:
        """The run as it is now."""
        view = cls(run)
        view.refresh()
        return view

    def refresh(self) -> list[journal.AnyEvent]:
        """Fold in what is new; returns those events, for whoever prints them."""
        lived = supervisor.is_alive(self.run)  # looked at before the read: a dead process has said its last word
        events = self._reader.read()
        for event in events:
            self._fold(event)
        ended = isinstance(self.last_word, journal.Finished)
        self.state = "running" if lived and not ended else supervisor.state_of(self.run, self.last_word)
        return events

    def _fold(self, event: journal.AnyEvent) -> None:
        self.first_time = self.first_time or event.time
        self.last_time = event.time
        match event:
            case journal.Starting():
                self.last_word = event
                self.paused = False
                self.partial.clear()
            case journal.Started():
                self.started = self.last_word = event
                done = event.resumed_from or -1  # what came after that checkpoint is made again
                self.metrics = [item for item in self.metrics if item.step <= done]
                self.evaluations = [item for item in self.evaluations if item.step <= done]
                self.samples = [item for item in self.samples if item.step <= done]
                self.checkpoints = [item for item in self.checkpoints if item.step <= done]
                self.general = [item for item in self.general if item.step <= done]
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
                place = (event.prompt, event.side)
                self.partial[place] = self.partial.get(place, "") + event.text
            case journal.Answer():
                self.answers[event.prompt, event.side] = event
                self.partial.pop((event.prompt, event.side), None)
            case journal.Stopped() | journal.Finished() | journal.Failed():
                self.last_word = event

    @property
    def step(self) -> int:
        """Optimizer steps done; of a verification, answers that came."""
        return self.metrics[-1].step if self.metrics else len(self.answers)

    @property
    def total_steps(self) -> int:
        """Optimizer steps planned; 0 when not known yet."""
        return self.started.total_steps if self.started else 0

    def pass_rates(self) -> list[tuple[int, int, int]]:
        """How the suite's prompts fare by step: the step, the prompts all of whose checks were met, and of how many."""
        rates: dict[int, list[bool]] = {}
        for sample in self.samples:
            if sample.checks:
                rates.setdefault(sample.step, []).append(all(check.passed for check in sample.checks))
        return [(step, sum(met), len(met)) for step, met in rates.items()]

    @property
    def forgotten(self) -> float | None:
        """How far the general loss has risen since the start, in nats per token; None where it was not measured."""
        return self.general[-1].loss - self.general[0].loss if len(self.general) > 1 else None

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to go at the pace of the last steps; None before the first."""
        recent = [item.step_seconds for item in self.metrics[-20:] if item.step_seconds]
        if not recent or not self.total_steps or self.state != "running":
            return None
        return max(0, self.total_steps - self.step) * sum(recent) / len(recent)

    @property
    def failure(self) -> str:
        """Why it failed, in words; empty when it did not."""
        if self.state != "failed":
            return ""
        if isinstance(self.last_word, journal.Failed):
            word = self.last_word
            return " ".join(part for part in (word.reason, f"({word.where})" if word.where else "", word.fix) if part)
        return supervisor.why_it_ended(self.run)

    def summary(self) -> dict[str, Any]:
        """What lists and `--json` show of a run."""
        last = self.metrics[-1] if self.metrics else None
        evaluation = self.evaluations[-1] if self.evaluations else None
        return {
            "id": self.run.id,
            "kind": str(self.run.file.job.__struct_config__.tag),
            "title": self.run.file.title,
            "state": self.state,
            "step": self.step,
            "total_steps": self.total_steps,
            "loss": last.loss if last else None,
            "eval_loss": evaluation.eval_loss if evaluation else None,
            "learning_rate": last.learning_rate if last else None,
            "tokens_per_second": last.tokens_per_second if last else None,
            "eta_seconds": self.eta_seconds,
            "checkpoints": [item.path for item in self.checkpoints if (self.run.folder / item.path).is_dir()],
            "warnings": [item.message for item in self.warnings],
            "failure": self.failure or None,
            "created": self.run.file.created,
            "folder": str(self.run.folder),
        }
