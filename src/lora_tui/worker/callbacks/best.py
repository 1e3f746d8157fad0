"""The best weights: a checkpoint wherever the validation loss was never lower, and an end when it gets no better."""

from __future__ import annotations

import math
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lora_tui.jobs import journal
from lora_tui.worker.guards.rules import evaluations_without_better


class Best(TrainerCallback):
    """Keeps the best; with a `patience` above 0 ends training after so many evaluations without a better one.

    What it counts stands in Trainer's own history, so that a resumed run goes on counting.
    """

    def __init__(self, log: journal.Journal, patience: int, threshold: float) -> None:
        self.log = log
        self.patience = patience
        self.threshold = threshold
        self.ended = False

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **rest: Any,
    ) -> None:
        """Look whether this is the best so far. Trainer compares after this call, and saves after that."""
        loss = (metrics or {}).get("eval_loss", math.nan)
        if loss < (math.inf if state.best_metric is None else state.best_metric):
            control.should_save = True
        losses = {item["step"]: item["eval_loss"] for item in state.log_history if "eval_loss" in item}
        passed = evaluations_without_better([losses[step] for step in sorted(losses)], self.threshold)
        if self.patience and passed >= self.patience and state.global_step < state.max_steps:
            self.ended = True
            control.should_training_stop = True
            self.log.write(
                journal.Warned(
                    message=f"the validation loss has not got better for {passed} evaluations: ended at step "
                    f"{state.global_step} of {state.max_steps}",
                    advice=f"The adapter is that of step {state.best_global_step}, the best.",
                    code="early_stopping",
                    step=state.global_step,
                )
            )

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Trainer ends the epoch it was ended in: nothing is to be evaluated or saved there once more."""
        if self.ended:
            control.should_save = False
            control.should_evaluate = False
