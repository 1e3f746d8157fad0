"""See it learn: at every evaluation the model answers a few prompts with its weights of that moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lora_tui.jobs import checks, journal
from lora_tui.jobs.job import Prompt
from lora_tui.worker import ranks
from lora_tui.worker.generate import Ending, stream

MAX_TOKENS = 128


class Answers(TrainerCallback):
    """Journals `sample` events, checked where a prompt has expectations."""

    def __init__(self, log: journal.Journal, tokenizer: Any, prompts: Sequence[Prompt]) -> None:
        self.log = log
        self.tokenizer = tokenizer
        self.prompts = prompts

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **rest: Any
    ) -> None:
        """Answer every prompt."""
        if model is None or not ranks.here().first:
            return
        was_training = model.training
        model.eval()
        for prompt in self.prompts:
            message = {"role": "user", "content": prompt.prompt}
            answer = "".join(stream(model, self.tokenizer, [message], Ending(), max_tokens=MAX_TOKENS))
            self.log.write(
                journal.Sample(
                    step=state.global_step,
                    prompt=prompt.prompt,
                    answer=answer,
                    checks=tuple(
                        checks.check(kind, value, checks.words(kind, value), answer)
                        for kind, value in prompt.expectations
                    ),
                )
            )
        model.train(was_training)
