"""What a run's journal says of its stay at Together: the only memory there is."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lora_tui.backends.together.client import PEER
from lora_tui.jobs import journal

TRAINING_FILE, VALIDATION_FILE, JOB, MODEL = "training file", "validation file", "job", "model"


class Recalled(msgspec.Struct):
    """What lies there and how far its events and metrics were taken over."""

    files: dict[str, str] = {}  # kind -> id
    jobs: list[str] = []  # in the order they were created; the last one counts
    model: str = ""  # the adapter in Together's registry
    started: bool = False  # the last job's start is in the journal
    events: int = 0  # of the last job, taken over
    step: int = 0  # of the last metrics
    evaluated: int = 0  # step of the last evaluation
    before: int | None = 0  # steps that jobs before the last one have done; None: not said yet
    earlier: int = 0  # the same of the job before the last one
    total: int = 0  # steps in all, as last said
    loss: float | None = None
    eval_loss: float | None = None
    estimated: float | None = None  # USD, of the last estimate
    charged: set[str] = set()  # what was charged for in the end

    @property
    def job(self) -> str:
        """The job that counts; empty: none yet."""
        return self.jobs[-1] if self.jobs else ""

    def take_job(self, identity: str) -> None:
        """Another job counts from now on, whose events begin at 1."""
        self.jobs.append(identity)
        self.started, self.events = False, 0
        self.earlier, self.before = self.before or 0, 0 if len(self.jobs) == 1 else None


def recalled(path: Path) -> Recalled:
    """Read a run's journal."""
    found = Recalled()
    for event in journal.JournalReader(path).read():
        _fold(found, event)
    return found


def _fold(found: Recalled, event: journal.AnyEvent) -> None:
    match event:
        case journal.Remote(peer=peer) if peer == PEER:
            _remote(found, event)
        case journal.Charged(peer=peer) if peer == PEER:
            if event.estimated:
                found.estimated = event.amount
            else:
                found.charged.add(event.what)
                found.estimated = None  # it was that of what is charged for now
        case journal.Metrics():
            found.step, found.loss = event.step, event.loss
        case journal.Evaluation():
            found.evaluated, found.eval_loss = event.step, event.eval_loss
        case journal.Started():
            found.started = True
            found.total = event.total_steps or found.total
            found.before = event.resumed_from or 0
            found.step, found.evaluated = min(found.step, found.before), min(found.evaluated, found.before)
            found.events = max(found.events, event.origin)
        case journal.Note() | journal.Warned() | journal.Checkpoint():
            found.events = max(found.events, event.origin)
        case _:
            pass


def _remote(found: Recalled, event: journal.Remote) -> None:
    if event.kind in (TRAINING_FILE, VALIDATION_FILE):
        if event.gone:
            found.files.pop(event.kind, None)
        else:
            found.files[event.kind] = event.id
    elif event.kind == MODEL:
        found.model = "" if event.gone else event.id
    elif event.kind == JOB and not event.gone and event.id not in found.jobs:
        found.take_job(event.id)
