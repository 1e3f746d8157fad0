"""What a person asks of a run while it works, done after the step that is being made: stop, pause, checkpoint."""

from __future__ import annotations

import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lora_tui.jobs import journal
from lora_tui.worker import ranks
from lora_tui.worker.requests import Requests

_LOOK_SECONDS = 0.2


class Controls(TrainerCallback):
    """Turns requests into Trainer's own flags; a pause waits here, with everything in memory."""

    def __init__(self, asked: Requests, log: journal.Journal) -> None:
        self.asked = asked
        self.log = log
        self.stopped = False

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Look whether someone asked, whichever process it reached; the last step needs no stop."""
        stop, pause, checkpoint = ranks.any_of(self.asked.stop, self.asked.pause, self.asked.take_checkpoint())
        if pause and not stop:
            stop = self._wait(state.global_step)
        if checkpoint:
            control.should_save = True
        if stop and state.global_step < state.max_steps:
            self.stopped = True
            control.should_save = True
            control.should_evaluate = False
            control.should_training_stop = True

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Trainer ends the epoch it was stopped in; the checkpoint of the stop is there already and stays as it is."""
        if self.stopped:
            control.should_save = False
            control.should_evaluate = False

    def _wait(self, step: int) -> bool:
        """Until the pause is taken back; whether to stop then."""
        self.log.write(journal.Paused(step=step))
        stop, pause = False, True
        while pause and not stop:
            time.sleep(_LOOK_SECONDS)
            stop, pause = ranks.any_of(self.asked.stop, self.asked.pause)
        self.log.write(journal.Continued(step=step))
        return stop
