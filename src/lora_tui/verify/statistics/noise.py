"""How far a model would be from itself if the same suite were run again."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, fmean

import msgspec

from lora_tui.verify.statistics.interval import LEVEL


class Noise(msgspec.Struct, frozen=True):
    """The part of a difference that is sampling alone."""

    prompts: int  # with at least two samples
    unsteady: int  # of these, passed by some samples and not by others
    flips: float  # chance that two samples of the same prompt come out differently, mean over prompts
    points: float  # two runs of this model stay this close in 95 of 100 cases; a pass rate difference, 0 to 1


def noise(samples: Sequence[Sequence[bool]]) -> Noise | None:
    """Noise of one model from its own repeated samples; None when no prompt has two.

    Variance of one sample of a prompt with rate r from k samples: r(1-r)·k/(k-1), unbiased; of the difference between
    two runs of n prompts: 2·Σ variance/k / n². For a check with nothing assumed, `compare` the model with itself.
    """
    repeated = [one for one in samples if len(one) > 1]
    if not repeated:
        return None
    rates = [(sum(one) / len(one), len(one)) for one in repeated]
    variances = [share * (1 - share) * k / (k - 1) for share, k in rates]
    spread = sqrt(2 * sum(value / k for value, (_, k) in zip(variances, rates, strict=True))) / len(repeated)
    return Noise(
        prompts=len(repeated),
        unsteady=sum(0 < share < 1 for share, _ in rates),
        flips=fmean(2 * value for value in variances),
        points=NormalDist().inv_cdf((1 + LEVEL) / 2) * spread,
    )
