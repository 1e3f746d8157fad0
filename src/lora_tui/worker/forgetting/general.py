"""Forgetting, measured: the loss on held general conversations before the run, at its evaluations and after it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lora_tui.jobs import journal
from lora_tui.worker import oom, ranks
from lora_tui.worker.aside import aside
from lora_tui.worker.forgetting.before import Before
from lora_tui.worker.forgetting.scores import Batch, batches, cross_entropy, divergence, ends_of
from lora_tui.worker.tokenize import Tokens

ROWS = 4  # of a batch
_DOES_NOT_FIT = journal.Warned(
    message="out of memory while measuring what is forgotten: from now on that is not measured",
    advice="Name a forgetting.general of shorter conversations, or set forgetting.measure = false.",
    code="general_memory",
)
SHARE = 0.05  # of a run's time that may go into measuring between its start and its end


def measured(model: Any, general: Sequence[Batch], before: Before | None) -> tuple[float, float | None]:
    """Mean loss in nats per token, and mean KL(before ‖ now) per token where there is a `before`.

    `model` is PEFT's; its random state, mode and gradients stay as they were.
    """
    loss = kl = 0.0
    count = 0
    with aside(model), torch.no_grad():
        for batch in general:
            now = ends_of(model, batch)
            loss += float(cross_entropy(now))
            count += len(now.labels)
            if before is not None:
                with before.in_force(model):
                    then = ends_of(model, batch)
                kl += float(divergence(then, now))
    return loss / count, kl / count if before is not None else None


class Forgetting(TrainerCallback):
    """Journals `general` events: before the first step, at evaluations as long as it costs little, and at the end.

    The end is told by whoever trains: a run that is stopped has none, and the best weights may be put back behind it.
    """

    def __init__(self, log: journal.Journal, rows: Sequence[Tokens], pad: int, before: Before) -> None:
        self.log = log
        self.rows = rows
        self.pad = pad
        self.size = min(ROWS, len(rows))  # of a batch; 0 where even one row does not fit
        self.before = before
        self._seconds = 0.0  # spent on it at evaluations
        self._began = 0.0
        self._step = -1  # it was measured at
        found = (event for event in journal.JournalReader(log.path).read() if isinstance(event, journal.General))
        self._start = next((event.loss for event in found if event.step == 0), None)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **rest: Any
    ) -> None:
        """What it is before; nothing where the run goes on from a checkpoint."""
        if state.global_step == 0:
            self._start = None
            self._measure(model, state.global_step)
        self._began, self._seconds = time.monotonic(), 0.0

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **rest: Any
    ) -> None:
        """What it is now, unless that was measured often enough for the time it takes."""
        if self._seconds <= SHARE * (time.monotonic() - self._began):
            begin = time.monotonic()
            self._measure(model, state.global_step)
            self._seconds += time.monotonic() - begin

    def at_end(self, model: Any, step: int, best: int) -> None:
        """What it is after `step` steps; with the weights of step `best` where that is not 0."""
        if step != self._step or best not in (0, step):
            self._measure(model, step)

    def _measure(self, model: Any, step: int) -> None:
        if model is None or not ranks.here().first or (found := self._fitting(model, step)) is None:
            return
        loss, kl = found
        self._step = step
        self._start = loss if self._start is None else self._start
        self.log.write(journal.General(step=step, loss=loss, kl=kl, rows=len(self.rows), start=self._start))

    def _fitting(self, model: Any, step: int) -> tuple[float, float | None] | None:
        """What was measured, with as many rows at a time as fit; None where none does: the run goes on without."""
        while self.size:
            try:
                return measured(model, batches(self.rows, self.pad, self.size), self.before)
            except Exception as error:
                if not oom.is_out_of_memory(error):
                    raise
            oom.free()
            self.size //= 2
            if not self.size:
                self.log.write(msgspec.structs.replace(_DOES_NOT_FIT, step=step))
        return None
