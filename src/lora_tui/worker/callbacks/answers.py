"""See it learn: before the first step and at every evaluation the model answers a few prompts, as it is by then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lora_tui.jobs import checks, journal
from lora_tui.jobs.job import Prompt
from lora_tui.worker import ranks, sharding
from lora_tui.worker.aside import aside
from lora_tui.worker.generate import Ending, stream

MAX_TOKENS = 128


class Answers(TrainerCallback):
    """Journals `sample` events, checked where a prompt has expectations; the first are of before the first step."""

    def __init__(self, log: journal.Journal, tokenizer: Any, prompts: Sequence[Prompt]) -> None:
        self.log = log
        self.tokenizer = tokenizer
        self.prompts = () if sharding.is_prepared() else prompts  # no process alone has the weights to answer with

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **rest: Any
    ) -> None:
        """What it says before it learned anything; nothing where the run goes on from a checkpoint."""
        if state.global_step == 0:
            self._answer(model, state)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **rest: Any
    ) -> None:
        """What it says now."""
        self._answer(model, state)

    def _answer(self, model: Any, state: TrainerState) -> None:
        """Answer every prompt: greedy, so that only the weights make a difference."""
        if model is None or not ranks.here().first:
            return
        with aside(model):
            for prompt in self.prompts:
                message = {"role": "user", "content": prompt.prompt}
                answer = "".join(stream(model, self.tokenizer, [message], Ending(), max_tokens=MAX_TOKENS))
                checked = tuple(checks.check(checks.Expectation(*item), answer) for item in prompt.expectations)
                self.log.write(
                    journal.Sample(step=state.global_step, prompt=prompt.prompt, answer=answer, checks=checked)
                )
