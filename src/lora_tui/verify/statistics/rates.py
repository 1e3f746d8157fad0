"""How often one model passes: per prompt, and over all prompts with Wilson's interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, fmean, variance

import msgspec

from lora_tui.verify.statistics.interval import LEVEL, Interval


class Rate(msgspec.Struct, frozen=True):
    """One model's own pass rate over all prompts."""

    passed: int  # samples
    samples: int
    value: float  # mean of the prompts' rates, 0 to 1
    interval: Interval


def pass_rates(samples: Sequence[Sequence[bool]]) -> list[float]:
    """Each prompt's share of passed samples. Raises ZeroDivisionError for a prompt without a sample."""
    return [sum(one) / len(one) for one in samples]


def wilson(value: float, size: float) -> Interval:
    """95 % score interval of a share `value` seen in `size` independent trials (Wilson 1927, JASA 22, 209)."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    middle = value + z * z / (2 * size)
    half = z * sqrt(value * (1 - value) / size + z * z / (4 * size * size))
    scale = 1 + z * z / size
    return Interval(max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


def rate(samples: Sequence[Sequence[bool]]) -> Rate:
    """The pass rate over prompts, each counting once however many samples it has.

    Samples of one prompt are alike, so Wilson's interval is reckoned with the effective sample size, the number of
    independent trials whose mean varies as much (Korn and Graubard 1998, Survey Methodology 24, 193): never fewer
    than the prompts and never more than the samples. With one sample per prompt it is Wilson's own.
    """
    rates = pass_rates(samples)
    prompts, total = len(rates), sum(len(one) for one in samples)
    value = fmean(rates)
    spread = variance(rates) / prompts if prompts > 1 else 0.0
    size = value * (1 - value) / spread if spread else 0.0
    effective = min(max(size, prompts), total)
    return Rate(sum(sum(one) for one in samples), total, value, wilson(value, effective))
