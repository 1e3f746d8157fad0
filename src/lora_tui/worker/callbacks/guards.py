"""Watching for trouble: a warning by name with what to do, and, where the profile says so, the end of the run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lora_tui.jobs import journal
from lora_tui.worker.callbacks.controls import Controls
from lora_tui.worker.guards import rules
from lora_tui.worker.guards.rules import Found, Point

_CURVES = ("exploding", "plateau", "eval_rising")
_POINTS = 2048  # kept of a curve; twice as many are averaged by twos
_NORMS = 100  # the rule looks no further back
_EVERY = 10  # logged steps between two looks for a plateau, which is nothing sudden


class Guards(TrainerCallback):
    """Runs the rules over the curves. Each warns once; what is in `stop_on` also stops, after a checkpoint.

    The curves of a run that goes on begin with what its journal says of the steps before.
    """

    def __init__(self, log: journal.Journal, controls: Controls, stop_on: tuple[str, ...]) -> None:
        self.log = log
        self.controls = controls
        self.stop_on = stop_on
        self.curve: list[Point] = []
        self.norms: list[float] = []
        self.evaluations: list[float] = []
        self.said: set[str] = set()
        self._pending: Found | None = None
        self._logged = 0

    def recall(self, path: Path, until: int) -> None:
        """Take up the curves of the journal at `path`, up to the step that the run goes on from; say nothing twice."""
        metrics: dict[int, journal.Metrics] = {}
        evaluations: dict[int, float] = {}
        for event in journal.JournalReader(path).read():
            if isinstance(event, journal.Metrics) and event.step <= until:
                metrics[event.step] = event
            elif isinstance(event, journal.Evaluation) and event.step <= until:
                evaluations[event.step] = event.eval_loss
            elif isinstance(event, journal.Warned) and event.code in _CURVES and event.step <= until:
                self.said.add(event.code)
        for step in sorted(metrics):
            self._add(step, metrics[step].loss, metrics[step].learning_rate, metrics[step].grad_norm)
        self.evaluations = [evaluations[step] for step in sorted(evaluations)]

    def not_numbers(self, step: int) -> None:
        """The gradients of the step that is being made are no numbers; the trainer has thrown them away."""
        self._pending = rules.nan(step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Act on what was met inside the step."""
        found, self._pending = self._pending, None
        self._act(found, state, control)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **rest: Any,
    ) -> None:
        """Look at the training curves."""
        if not logs or "loss" not in logs or "learning_rate" not in logs:
            return
        step, loss = state.global_step, float(logs["loss"])
        if not math.isfinite(loss):
            self._act(rules.nan(step), state, control)
            return
        self._add(step, loss, float(logs["learning_rate"]), logs.get("grad_norm"))
        self._act(rules.exploding(self.norms, step), state, control)
        self._logged += 1
        if self._logged % _EVERY == 0:
            self._act(rules.plateau(self.curve, state.max_steps), state, control)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **rest: Any,
    ) -> None:
        """Look at the validation curve."""
        loss = (metrics or {}).get("eval_loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            self._act(rules.nan(state.global_step), state, control)
            return
        self.evaluations.append(float(loss))
        self._act(rules.eval_rising(self.evaluations, state.global_step), state, control)

    def _add(self, step: int, loss: float, rate: float, norm: float | None) -> None:
        self.curve.append(Point(step, loss, rate))
        if len(self.curve) >= 2 * _POINTS:
            self.curve = [_between(*pair) for pair in zip(self.curve[::2], self.curve[1::2], strict=False)]
        if norm is not None and math.isfinite(norm):
            self.norms = [*self.norms[1 - _NORMS :], float(norm)]

    def _act(self, found: Found | None, state: TrainerState, control: TrainerControl) -> None:
        if found is None or found.code in self.said:
            return
        self.said.add(found.code)
        self.log.write(journal.Warned(message=found.message, advice=found.advice, code=found.code, step=found.step))
        if found.code in self.stop_on:
            self.controls.stop_for(f"{found.code}: {found.message}", state, control)


def _between(first: Point, second: Point) -> Point:
    return Point(second.step, (first.loss + second.loss) / 2, second.learning_rate)
