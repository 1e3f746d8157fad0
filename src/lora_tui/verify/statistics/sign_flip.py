"""The sign-flip test: were both models equal, each prompt's difference could as well have had the other sign."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import msgspec

from lora_tui.verify.statistics.interval import SEED

SIGNIFICANCE = 0.05
ENOUGH_FLIPS = 6  # 6 to 0 is the smallest split that reaches 5 % two-sided (p = 0.031)
FLIPS = 10_000
_MOST_SUMS = 200_000  # sums that whole-number differences can take, up to which all 2^n flips are counted
_MOST_ENUMERATED = 12  # fractional differences: 2^12 flips
_SLACK = 1e-9  # relative: the same sum, added in another order


class SignFlip(msgspec.Struct, frozen=True):
    """Result of the test."""

    p: float  # two-sided
    differing: int  # prompts whose difference is not 0
    exact: bool  # every flip counted; else 10,000 drawn


def p_words(p: float) -> str:
    """p as a person reads it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def sign_flip(differences: Sequence[float], *, seed: int = SEED) -> SignFlip:
    """Chance of a mean at least as far from 0 as this one if each sign were a coin toss (Fisher 1935, §21).

    Whole numbers (passes are, times their number of samples) are exact at any usual size: the distribution of the
    flipped sum is built up one difference at a time. With one sample per prompt the test is McNemar's. Fractions are
    exact up to 12; then p = (1 + as far) / (1 + drawn) over 10,000 flips (Phipson and Smyth 2010).
    """
    moving = [abs(value) for value in differences if value]
    seen = abs(sum(differences))
    if not moving:
        return SignFlip(1.0, 0, exact=True)
    if all(value == int(value) for value in moving) and sum(moving) <= _MOST_SUMS:
        return SignFlip(_counted([int(value) for value in moving], int(seen)), len(moving), exact=True)
    if len(moving) <= _MOST_ENUMERATED:
        edge = seen - _SLACK * sum(moving)
        sums = [abs(sum(flip)) for flip in product(*((value, -value) for value in moving))]
        return SignFlip(sum(one >= edge for one in sums) / len(sums), len(moving), exact=True)
    return SignFlip(_drawn(moving, seen, seed), len(moving), exact=False)


def _counted(moving: list[int], seen: int) -> float:
    """Exact p: entry s of `chance` is the chance that the differences taken with a plus sum to s."""
    import numpy as np

    total = sum(moving)
    chance = np.zeros(total + 1)
    chance[0] = 1.0
    for value in moving:
        chance *= 0.5
        chance[value:] += chance[:-value].copy()
    sums = 2 * np.arange(total + 1) - total
    return min(1.0, float(chance[np.abs(sums) >= seen].sum()))


def _drawn(moving: list[float], seen: float, seed: int) -> float:
    import numpy as np

    signs = np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), size=(FLIPS, len(moving)))
    as_far = np.abs(signs @ np.asarray(moving)) >= seen - _SLACK * sum(moving)
    return float((1 + as_far.sum()) / (1 + FLIPS))
