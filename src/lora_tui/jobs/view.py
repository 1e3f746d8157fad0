"""A run as its journal tells it: the one view that the monitor, `runs show`, `runs follow` and the tests read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.foreign.reader import Reader
from lora_tui.jobs.job import Foreign
from lora_tui.jobs.story import Story
from lora_tui.jobs.supervisor import Run, State


class RunView(Story):
    """A run's story with its state. `refresh` reads what was appended since the last time."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self.state: State = "new"
        self._reader = _reader(run)

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
            self.fold(event)
        ended = isinstance(self.last_word, journal.Finished)
        if isinstance(self._reader, Reader):
            self.state = self._reader.state(self.last_word)
            return events
        self.state = "running" if lived and not ended else supervisor.state_of(self.run, self.last_word)
        return events

    def history(self) -> list[journal.AnyEvent]:
        """All its events so far, read again."""
        return _reader(self.run).read()

    @property
    def standing(self) -> str:
        """The state in the word a person reads: a run that waits is 'paused'."""
        return "paused" if self.paused and self.state == "running" else self.state

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to go at the pace of late; None before the first step, and for a run that does not work."""
        found = self.to_go if self.state == "running" and not self.paused else None
        return found.seconds if found is not None else None

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
        cost = self.spending.so_far(time.time())
        return {
            "id": self.run.id,
            "kind": str(self.run.file.job.__struct_config__.tag),
            "title": self.run.file.title,
            "state": self.standing,
            "step": self.step,
            "total_steps": self.total_steps,
            "loss": last.loss if last else None,
            "eval_loss": evaluation.eval_loss if evaluation else None,
            "learning_rate": last.learning_rate if last else None,
            "tokens_per_second": last.tokens_per_second if last else None,
            "eta_seconds": self.eta_seconds,
            "grad_norm": last.grad_norm if last else None,
            "best_step": self.best.step if self.best else None,
            "passed": self.pass_rates()[-1][1:] if self.pass_rates() else None,
            "forgotten": self.forgotten,
            "cost_usd": None if cost is None else round(cost, 4),
            "checkpoints": [item.path for item in self.checkpoints if (self.run.folder / item.path).is_dir()],
            "warnings": [item.message for item in self.warnings],
            "failure": self.failure or None,
            "created": self.run.file.created,
            "folder": str(self.run.folder),
        }


def _reader(run: Run) -> journal.JournalReader | Reader:
    job = run.file.job
    return Reader(Path(job.path)) if isinstance(job, Foreign) else journal.JournalReader(run.journal)
