"""Two models on the same prompts: the difference, how sure it is, and the verdict or why there is none yet."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm, sqrt
from statistics import fmean, stdev
from typing import Literal

import msgspec

from lora_tui.verify.statistics.interval import FEWEST, SEED, Interval, mean_interval
from lora_tui.verify.statistics.needed import prompts_for
from lora_tui.verify.statistics.rates import Rate, pass_rates, rate
from lora_tui.verify.statistics.sign_flip import ENOUGH_FLIPS, SIGNIFICANCE, p_words, sign_flip

WORTHWHILE = 0.05  # 5 points: a smaller difference counts as none

Outcome = Literal["better", "worse", "same", "undecided"]
Samples = Sequence[Sequence[bool]]


class Comparison(msgspec.Struct, frozen=True):
    """What the samples say about tuned against baseline. Rates and differences run from 0 to 1."""

    prompts: int  # that both models answered
    left_out: int  # without a usable answer from one of them
    baseline: Rate | None  # None: no prompt was answered by both
    tuned: Rate | None
    difference: float  # tuned - baseline, mean over prompts
    spread: float  # standard deviation of the prompts' differences
    interval: Interval | None  # 95 %; None below 10 prompts and when all came out alike
    gained: int  # prompts whose rate rose
    lost: int  # whose rate fell
    p: float  # sign-flip test, two-sided; among groups as adjusted by Holm
    outcome: Outcome  # of the fine-tune
    more: int  # prompts to add before a verdict can be expected; 0 with a verdict
    worthwhile: float  # the difference that had to be told from none
    method: str  # of p, in words

    @property
    def testable(self) -> bool:
        """Whether any result on so many prompts could have been a verdict; does not look at who won."""
        return self.prompts >= FEWEST and self.gained + self.lost >= ENOUGH_FLIPS

    @property
    def verdict(self) -> str:
        """One or two sentences for people."""
        return _words(self)


def compare(baseline: Samples, tuned: Samples, *, worthwhile: float = WORTHWHILE, seed: int = SEED) -> Comparison:
    """Compare passed samples, prompt by prompt: the same prompts in the same order, any number of samples each.

    A sample that could not be had (an error, a cut) is left out by the caller, never counted as failed; a prompt
    without any on one side is left out here. Raises ValueError when the sides differ in length.
    """
    pairs = [(list(a), list(b)) for a, b in zip(baseline, tuned, strict=True) if a and b]
    before, after = [a for a, _ in pairs], [b for _, b in pairs]
    # Whole numbers: in units of 1/scale a prompt's difference has no rounding, and p is exact.
    scale = lcm(*(len(one) for one in (*before, *after)))
    whole = [sum(b) * (scale // len(b)) - sum(a) * (scale // len(a)) for a, b in pairs]
    differences = [b - a for a, b in zip(pass_rates(before), pass_rates(after), strict=True)]
    test = sign_flip(whole, seed=seed)
    greedy = all(len(one) == 1 for one in (*before, *after))
    drawn = "exact" if test.exact else f"10,000 flips, seed {seed}"
    found = Comparison(
        prompts=len(pairs),
        left_out=len(baseline) - len(pairs),
        baseline=rate(before) if pairs else None,
        tuned=rate(after) if pairs else None,
        difference=fmean(differences) if pairs else 0.0,
        spread=stdev(differences) if len(differences) > 1 else 0.0,
        interval=mean_interval(differences, seed=seed),
        gained=sum(value > 0 for value in whole),
        lost=sum(value < 0 for value in whole),
        p=test.p,
        outcome="undecided",
        more=0,
        worthwhile=worthwhile,
        method=f"McNemar, {drawn}" if greedy else f"sign-flip, {drawn}",
    )
    return judged(found, test.p)


def judged(found: Comparison, p: float) -> Comparison:
    """`found` with the outcome and the missing prompts that follow from `p`, by default a test of its own."""
    if found.testable and p <= SIGNIFICANCE:
        outcome: Outcome = "better" if found.difference > 0 else "worse"
    elif _same(found):
        outcome = "same"
    else:
        outcome = "undecided"
    more = _more(found) if outcome == "undecided" else 0
    return msgspec.structs.replace(found, p=p, outcome=outcome, more=more)


def _same(found: Comparison) -> bool:
    """Whether a worthwhile difference is ruled out, and could also not hide in the prompts that were not asked.

    If a share w of all prompts came out differently, n prompts would miss it with a chance of (1-w)^n; below 5 % it
    counts as seen (the rule of three: Hanley and Lippman-Hand 1983, JAMA 249, 1743).
    """
    if (1 - found.worthwhile) ** found.prompts > SIGNIFICANCE:
        return False
    return found.interval.within(found.worthwhile) if found.interval else not found.difference


def _more(found: Comparison) -> int:
    """Prompts missing for the difference seen, or for a worthwhile one where less was seen."""
    size = max(abs(found.difference), found.worthwhile)
    # When no prompt, or every prompt, came out alike, the least that a difference of this size makes them vary.
    spread = found.spread or sqrt(size * (1 - size))
    differing = (found.gained + found.lost) / found.prompts if found.prompts else 0.0
    return max(1, prompts_for(size, spread, differing or size) - found.prompts)


def _words(found: Comparison) -> str:
    if found.outcome in ("better", "worse"):
        return (
            f"The fine-tune is {found.outcome} than the baseline on these prompts: "
            f"{_points(found)} ({p_words(found.p)})."
        )
    if found.outcome == "same":
        return f"No difference of {100 * found.worthwhile:.0f} points or more: {_points(found)}."
    seen = f"{found.gained} better and {found.lost} worse of {found.prompts}"
    if found.interval is not None:
        seen += f", {_points(found)}"
    size = 100 * max(abs(found.difference), found.worthwhile)
    return (
        f"Too few prompts to tell ({seen}): about {found.more} more {'is' if found.more == 1 else 'are'} needed to "
        f"tell a difference of {size:.0f} points."
    )


def _points(found: Comparison) -> str:
    value = f"{100 * found.difference:+.1f} points"
    if found.interval is None:
        return value
    return f"{value}, 95 % interval {100 * found.interval.low:+.1f} to {100 * found.interval.high:+.1f}"
