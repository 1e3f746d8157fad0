"""Suites of prompts of mixed difficulty, answered by two models whose true difference is known."""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

EASY = log(0.45 / 0.55)  # logit of the mean difficulty
SPREAD, SHIFT_SPREAD = 1.8, 0.8


def answered(
    rng: np.random.Generator, prompts: int, samples: int, shift: float = 0.0
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Passed samples of both models, (prompts, samples) each; a shift of .6 is about +9 points, 1.2 about +18."""
    before = rng.normal(EASY, SPREAD, prompts)
    after = before + rng.normal(shift, SHIFT_SPREAD, prompts) if shift else before
    tossed = [rng.random((prompts, samples)) < (1 / (1 + np.exp(-one)))[:, None] for one in (before, after)]
    return tossed[0], tossed[1]
