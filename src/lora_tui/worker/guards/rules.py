"""The rules as functions: a curve goes in, a finding comes out or None. No torch here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median, variance
from typing import NamedTuple

import msgspec

from lora_tui.workspace import toml

TABLE = Path(__file__).with_name("rules.toml")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every rule says, and the curves it is tested on."""

    message: str
    advice: str
    source: str
    fires: tuple[tuple[float, ...], ...] = ()
    silent: tuple[tuple[float, ...], ...] = ()


class Exploding(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Gradient norms far above what they were."""

    factor: float
    window: int
    warmup: int
    times: int
    within: int


class Plateau(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A loss that does not fall."""

    points: int
    share: float
    gain: float
    rate: float


class EvalRising(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A validation loss that rises."""

    times: int
    above: float


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """rules.toml."""

    version: int
    nan: Rule
    exploding: Exploding
    plateau: Plateau
    eval_rising: EvalRising


class Point(NamedTuple):
    """One logged training step."""

    step: int
    loss: float
    learning_rate: float = 1.0


class Found(msgspec.Struct, frozen=True):
    """What a rule saw, in words."""

    code: str
    step: int
    message: str
    advice: str


@cache
def rules() -> Rules:
    """The shipped table."""
    return toml.load(TABLE, Rules)


def nan(step: int) -> Found:
    """The loss or a gradient of this step is no number."""
    rule = rules().nan
    return Found("nan", step, rule.message.format(step=step), rule.advice)


def exploding(norms: Sequence[float], step: int) -> Found | None:
    """Gradient norms up to `step`, the newest last."""
    rule = rules().exploding
    usual: list[float] = []
    high: list[bool] = []
    times = 0.0
    for norm in norms[-(rule.window + rule.warmup + rule.within) :]:
        enough = len(usual) >= rule.warmup
        middle = median(usual[-rule.window :]) if enough else math.inf
        high.append(norm > rule.factor * middle)
        if high[-1]:
            times = norm / middle if middle else math.inf
        else:
            usual.append(norm)
    if not high or not high[-1] or sum(high[-rule.within :]) < rule.times:
        return None
    return Found("exploding", step, rule.message.format(value=norms[-1], step=step, times=times), rule.advice)


def plateau(curve: Sequence[Point], total_steps: int) -> Found | None:
    """The training curve so far, of a run of `total_steps`: the longest end of it that is surely flat."""
    rule = rules().plateau
    highest = max((point.learning_rate for point in curve), default=0.0)
    begin = next((index for index, point in enumerate(curve) if point.learning_rate >= rule.rate * highest), 0)
    moved = [point for point in curve[begin:] if point.learning_rate >= rule.rate * highest]
    if not moved or moved[-1] is not curve[-1]:
        return None
    size = len(moved)
    while size >= rule.points:
        window = moved[-size:]
        if window[-1].step - window[0].step + 1 >= rule.share * total_steps:
            third = size // 3
            before, after = [p.loss for p in window[:third]], [p.loss for p in window[-third:]]
            gained = fmean(before) - fmean(after)
            doubt = 2 * math.sqrt((variance(before) + variance(after)) / third)
            if abs(gained) + doubt < rule.gain * fmean(before):
                words = {
                    "before": fmean(before),
                    "after": fmean(after),
                    "first": window[0].step,
                    "step": window[-1].step,
                }
                return Found("plateau", window[-1].step, rule.message.format(**words), rule.advice)
        size = size * 2 // 3
    return None


def eval_rising(losses: Sequence[float], step: int) -> Found | None:
    """Validation losses up to `step`, the newest last."""
    rule = rules().eval_rising
    last = losses[-rule.times - 1 :]
    if len(last) <= rule.times or any(after <= before for before, after in pairwise(last)):
        return None
    best = min(losses)
    if losses[-1] < best * (1 + rule.above):
        return None
    words = {"times": rule.times, "best": best, "value": losses[-1], "step": step}
    return Found("eval_rising", step, rule.message.format(**words), rule.advice)


def evaluations_without_better(losses: Sequence[float], threshold: float) -> int:
    """How many evaluations have passed since the loss last got better by more than `threshold`."""
    best, passed = math.inf, 0
    for loss in losses:
        if loss < best - threshold:
            best, passed = loss, 0
        else:
            passed += 1
    return passed
