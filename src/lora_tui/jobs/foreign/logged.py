"""What any trainer logs at a step, by the names transformers' Trainer uses, and that as our journal's events."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from lora_tui.jobs import journal

_SCOPES = re.compile(r"^(train|training|eval|evaluation|val|valid|validation|test)[/_](.+)$")
_KNOWN = {"lr": "learning_rate", "gradient_norm": "grad_norm", "num_input_tokens_seen": "num_tokens"}


def name_of(tag: str) -> str:
    """A curve's name as Trainer would call it: train/loss, train_loss and loss are 'loss', val/loss is 'eval_loss'.

    Trainer's own summary, train/train_loss, stays 'train_loss'.
    """
    tag = tag.strip().lower()
    found = _SCOPES.match(tag)
    scope, rest = (found[1], found[2]) if found else ("", tag)
    if rest.startswith("lr-"):  # Lightning: lr-AdamW
        rest = "learning_rate"
    rest = _KNOWN.get(rest, rest)
    if scope in ("", "train", "training"):
        return rest
    return f"test_{rest}" if scope == "test" else f"eval_{rest}"


class Told:
    """Turns one training's logged values, in the order of its steps, into events."""

    def __init__(self) -> None:
        self._last: tuple[int, float, float] | None = None  # step, time, tokens
        self._epoch = 0.0
        self._warned = False

    def events(self, step: int, time: float, values: Mapping[str, float]) -> Iterator[journal.AnyEvent]:
        """What was logged at one step; `values` by `name_of`."""
        self._epoch = values.get("epoch", self._epoch)
        loss = values.get("loss")
        if loss is not None and math.isfinite(loss):
            yield self._metrics(step, time, loss, values)
        elif loss is not None and not self._warned:
            self._warned = True
            yield journal.Warned(message="the loss is not a number", code="nan", step=step, time=time)
        evaluated = values.get("eval_loss")
        if evaluated is not None and math.isfinite(evaluated):
            yield journal.Evaluation(step=step, epoch=self._epoch, eval_loss=evaluated, time=time)
        if "train_runtime" in values:
            yield journal.Finished(
                steps=step, loss=values.get("train_loss"), seconds=values["train_runtime"], time=time
            )

    def _metrics(self, step: int, time: float, loss: float, values: Mapping[str, float]) -> journal.Metrics:
        norm = values.get("grad_norm")
        tokens = values.get("num_tokens", 0.0)
        seconds = pace = 0.0
        if self._last is not None and step > self._last[0] and time > self._last[1]:
            seconds = (time - self._last[1]) / (step - self._last[0])
            pace = max(0.0, tokens - self._last[2]) / (time - self._last[1]) if tokens else 0.0
        self._last = (step, time, tokens)
        return journal.Metrics(
            step=step,
            epoch=self._epoch,
            loss=loss,
            learning_rate=values.get("learning_rate", 0.0),
            grad_norm=norm if norm is not None and math.isfinite(norm) else None,
            tokens=int(tokens),
            tokens_per_second=values.get("tokens_per_second", pace),
            step_seconds=seconds,
            time=time,
        )
