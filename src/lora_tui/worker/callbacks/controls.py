"""What a person asks of a run while it works: stop, pause, checkpoint. And the one way a run is stopped."""

from __future__ import annotations

import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lora_tui.jobs import journal
from lora_tui.worker import ranks
from lora_tui.worker.lasting import EvaluationGivenUp
from lora_tui.worker.requests import Requests

_LOOK_SECONDS = 0.2
_WORTH_WAITING = 10.0  # seconds that a stop waits for a step to be finished; one that takes longer is given up


class Controls(TrainerCallback):
    """Turns requests into Trainer's own flags; a pause waits here, with everything in memory."""

    def __init__(self, asked: Requests, log: journal.Journal) -> None:
        self.asked = asked
        self.log = log
        self.stopped = False
        self.reason = ""  # of a stop that nobody asked for
        self._began = 0.0
        self._made = 0
        self._given_up = False

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Start to count its micro-batches."""
        self._began, self._made = time.monotonic(), 0

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any
    ) -> None:
        """A step of many long micro-batches is given up for a stop: what it did is less than the wait for its end."""
        self._made += 1
        if args.world_size > 1 or not self.asked.stop:  # several processes would have to agree after each micro-batch
            return
        left = (time.monotonic() - self._began) / self._made * (args.gradient_accumulation_steps - self._made)
        if left > _WORTH_WAITING:
            self.stopped = self._given_up = True
            control.should_training_stop = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Look whether someone asked, whichever process it reached; the last step needs no stop."""
        stop, pause, checkpoint = ranks.any_of(self.asked.stop, self.asked.pause, self.asked.take_checkpoint())
        if pause and not stop:
            stop = self._wait(state.global_step)
        if checkpoint:
            control.should_save = True
        if stop:
            self._stop(state, control)

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any
    ) -> None:
        """An evaluation is given up for a stop, which then comes at once."""
        if args.world_size == 1 and self.asked.stop and state.global_step < state.max_steps:
            self._stop(state, control)
            raise EvaluationGivenUp

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """A request that came while it evaluated, or while prompts were answered."""
        if any(ranks.any_of(self.asked.stop)):
            self._stop(state, control)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Trainer ends the epoch it was stopped in; the checkpoint of the stop is there already and stays as it is."""
        if self.stopped:
            control.should_save = self._given_up and state.global_step > 0
            control.should_evaluate = False

    def stop_for(self, reason: str, state: TrainerState, control: TrainerControl) -> None:
        """Stop for a reason that is no request, after a checkpoint; at the last step there is nothing to stop."""
        if self._stop(state, control):
            self.reason = reason

    def _stop(self, state: TrainerState, control: TrainerControl) -> bool:
        if state.global_step >= state.max_steps:
            return False
        self.stopped = True
        control.should_save = True
        control.should_evaluate = False
        control.should_training_stop = True
        return True

    def _wait(self, step: int) -> bool:
        """Until the pause is taken back; whether to stop then."""
        self.log.write(journal.Paused(step=step))
        stop, pause = False, True
        while pause and not stop:
            time.sleep(_LOOK_SECONDS)
            stop, pause = ranks.any_of(self.asked.stop, self.asked.pause)
        self.log.write(journal.Continued(step=step))
        return stop
