"""How many prompts a difference needs before a test can be expected to show it."""

from __future__ import annotations

from math import ceil, log
from statistics import NormalDist

from lora_tui.verify.statistics.interval import FEWEST, LEVEL
from lora_tui.verify.statistics.rates import wilson
from lora_tui.verify.statistics.sign_flip import ENOUGH_FLIPS, SIGNIFICANCE

POWER = 0.8  # chance that a difference of that size is then found


def prompts_for(difference: float, spread: float, differing: float = 1.0) -> int:
    """Prompts for which a true mean `difference` is found in 4 of 5 suites.

    n = (z_0.975 + z_0.8)² · spread² / difference²: Miller 2024, "Adding Error Bars to Evals", §5, whose three variances
    (between prompts, and each model's sampling over its samples) together are the variance of the per-prompt
    differences. `spread` is their standard deviation, in the unit of `difference`; `differing` the share of prompts
    that come out differently, of which a test needs 6. Raises ZeroDivisionError when `difference` or `differing` is 0.
    """
    normal = NormalDist()
    z = normal.inv_cdf((1 + LEVEL) / 2) + normal.inv_cdf(POWER)
    return max(FEWEST, ceil(ENOUGH_FLIPS / differing), ceil((z * spread / difference) ** 2))


def prompts_to_see(share: float) -> int:
    """Prompts after which what happens to a `share` of all prompts has been seen once, with 95 % certainty.

    n such prompts miss it with a chance of (1-share)^n (the rule of three: Hanley and Lippman-Hand 1983, JAMA 249).
    """
    return ceil(log(SIGNIFICANCE) / log(1 - share)) if 0 < share < 1 else 1


def trials_for_rate(value: float, limit: float, most: int = 1_000_000) -> int:
    """Independent trials at which Wilson's interval of a rate `value` no longer holds `limit`; `most` and no end."""
    if not wilson(value, most).holds(limit):
        low, high = 1, most
        while low < high:
            middle = (low + high) // 2
            if wilson(value, middle).holds(limit):
                low = middle + 1
            else:
                high = middle
        return low
    return most
