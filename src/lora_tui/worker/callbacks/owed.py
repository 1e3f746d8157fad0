"""An evaluation that a stop left out is made up for by the run that goes on, before its first step."""

from __future__ import annotations

from collections.abc import Callable

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class Owed(TrainerCallback):
    """Calls `evaluate` where the step gone on from should have been evaluated and was not."""

    def __init__(self, evaluate: Callable[[], None]) -> None:
        self.evaluate = evaluate

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: object
    ) -> None:
        """Trainer has read the state of the checkpoint by now."""
        done = any("eval_loss" in item and item["step"] == state.global_step for item in state.log_history)
        if state.global_step and not done and _due(args, state):
            self.evaluate()


def _due(args: TrainingArguments, state: TrainerState) -> bool:
    if args.eval_strategy == "steps":
        return state.global_step % int(args.eval_steps) == 0
    whole = round(state.epoch or 0.0)
    return args.eval_strategy == "epoch" and whole > 0 and abs((state.epoch or 0.0) - whole) < 1e-6
