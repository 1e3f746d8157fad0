"""Whether one model answers faster, prompt by prompt: long prompts are then compared with themselves only."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from statistics import fmean, median

import msgspec

from lora_tui.verify.statistics.interval import FEWEST, SEED, Interval, mean_interval
from lora_tui.verify.statistics.sign_flip import SIGNIFICANCE, p_words, sign_flip


class Latency(msgspec.Struct, frozen=True):
    """Times of the same prompts on both sides."""

    prompts: int  # that both sides answered
    baseline: float  # mean over prompts, s
    tuned: float
    ratio: float  # geometric mean of the prompts' tuned / baseline; below 1: the fine-tune is faster
    interval: Interval | None  # 95 % of the ratio; None below 10 prompts
    p: float  # sign-flip test of the log ratios, two-sided

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        if self.prompts < FEWEST:
            return f"Too few prompts to tell: {self.baseline:.2f} s and {self.tuned:.2f} s over {self.prompts}."
        if self.p > SIGNIFICANCE:
            return f"No difference in time that could not be chance ({p_words(self.p)})."
        word = "less" if self.ratio < 1 else "more"
        seen = f"The fine-tune takes {100 * abs(self.ratio - 1):.0f} % {word} time on the same prompt"
        if self.interval is None:
            return f"{seen} ({p_words(self.p)})."
        ends = f"{100 * (self.interval.low - 1):+.0f} to {100 * (self.interval.high - 1):+.0f} %"
        return f"{seen} (95 % interval {ends}, {p_words(self.p)})."


def latency(
    baseline: Sequence[Sequence[float]], tuned: Sequence[Sequence[float]], *, seed: int = SEED
) -> Latency | None:
    """Compare seconds (> 0) per sample of the same prompts; None when no prompt was timed on both sides.

    A prompt's time is the median of its samples, and prompts are compared by ratio: answers differ in length by far
    more than models in speed. Raises ValueError when the sides differ in length, and for a time of 0.
    """
    pairs = [(median(a), median(b)) for a, b in zip(baseline, tuned, strict=True) if a and b]
    if not pairs:
        return None
    logs = [log(b) - log(a) for a, b in pairs]
    found = mean_interval(logs, seed=seed)
    return Latency(
        prompts=len(pairs),
        baseline=fmean(a for a, _ in pairs),
        tuned=fmean(b for _, b in pairs),
        ratio=exp(fmean(logs)),
        interval=Interval(exp(found.low), exp(found.high)) if found else None,
        p=sign_flip(logs, seed=seed).p if len(pairs) >= FEWEST else 1.0,
    )
