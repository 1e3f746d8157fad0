"""What Trainer does, told to the journal."""

from __future__ import annotations

import math
import os
import socket
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lora_tui.jobs import journal
from lora_tui.worker import checkpoints, loading, ranks


class Telling(TrainerCallback):
    """Journals started, metrics, eval and checkpoint events of one training process.

    `tokens` (the loss-carrying tokens this process trained on so far) is counted up by the trainer; what is told is
    the sum over all processes.
    """

    def __init__(
        self,
        folder: Path,
        log: journal.Journal,
        device: str,
        resumed_from: checkpoints.Point | None,
    ) -> None:
        self.folder = folder
        self.log = log
        self.device = device
        self.resumed_from = resumed_from
        self.place = ranks.here()
        self.tokens = resumed_from.manifest.tokens if resumed_from and self.place.first else 0
        self.penalties: list[float] = []  # of the steps since the last `metrics`; appended by the trainer
        self.last_checkpoint = self._named(resumed_from) if resumed_from else ""
        self.last_loss: float | None = None
        self.last_eval: float | None = None
        self._step_began = 0.0
        self._seconds: list[float] = []
        self._tokens_logged = resumed_from.manifest.tokens if resumed_from else 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any
    ) -> None:
        """`started`, now that the number of steps is known."""
        self.log.write(
            journal.Started(
                pid=os.getpid(),
                host=socket.gethostname(),
                total_steps=state.max_steps,
                resumed_from=self.resumed_from.step if self.resumed_from else None,
                resumed_path=self.last_checkpoint,
                device=self.device,
                versions=loading.versions(),
                world_size=self.place.world,
            )
        )

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Start the clock of the step."""
        self._step_began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Stop it."""
        self._seconds.append(time.monotonic() - self._step_began)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **rest: Any,
    ) -> None:
        """`metrics`, from what Trainer logs at a training step."""
        if not logs or "loss" not in logs or "learning_rate" not in logs:
            return
        tokens = ranks.total(self.tokens)
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            return  # JSON has no NaN; the guards say so
        self.last_loss = loss
        norm = float(logs.get("grad_norm", math.nan))
        spent = sum(self._seconds)
        self.log.write(
            journal.Metrics(
                step=state.global_step,
                epoch=float(logs.get("epoch", state.epoch or 0.0)),
                loss=loss,
                learning_rate=float(logs["learning_rate"]),
                grad_norm=norm if math.isfinite(norm) else None,
                tokens=tokens,
                tokens_per_second=(tokens - self._tokens_logged) / spent if spent else 0.0,
                step_seconds=spent / len(self._seconds) if self._seconds else 0.0,
                penalty=sum(self.penalties) / len(self.penalties) if self.penalties else 0.0,
            )
        )
        self.penalties.clear()
        self._seconds.clear()
        self._tokens_logged = tokens

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **rest: Any,
    ) -> None:
        """`eval`."""
        if metrics and math.isfinite(metrics.get("eval_loss", math.nan)):
            self.last_eval = float(metrics["eval_loss"])
            self.log.write(
                journal.Evaluation(step=state.global_step, epoch=float(state.epoch or 0.0), eval_loss=self.last_eval)
            )

    def checkpoint_made(self, point: checkpoints.Point, *, best: bool) -> None:
        """`checkpoint`, now that it is whole."""
        self.last_checkpoint = self._named(point)
        self.log.write(journal.Checkpoint(step=point.step, path=self.last_checkpoint, best=best))

    def _named(self, point: checkpoints.Point) -> str:
        return point.path.relative_to(self.folder).as_posix()

    def kept_no_checkpoint(self, step: int) -> None:
        """Weights that are no numbers are not kept."""
        self.log.write(
            journal.Warned(
                message="no checkpoint was written: the weights are not numbers any more",
                advice="The last checkpoint before it is whole: resume from it with a lower training.learning_rate.",
                code="nan",
                step=step,
            )
        )

    def evaluates_with(self, rows: int, step: int) -> None:
        """The validation rows did not fit."""
        self.log.write(
            journal.Warned(
                message=f"out of memory while evaluating: from now on with {rows} row{'s' * (rows > 1)} at a time",
                code="evaluation_memory",
                step=step,
            )
        )
