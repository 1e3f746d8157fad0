"""How often a verdict is wrong, and how often there is one, over suites whose truth is known."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import pytest

from lora_tui.verify.statistics import Comparison, compare, prompts_for
from lora_tui.verify.statistics.needed import POWER
from suite_model import answered

SUITES = 400


def compared(prompts: int, samples: int, shift: float, suites: int = SUITES) -> list[Comparison]:
    rng = np.random.default_rng(1000 * prompts + samples)
    pairs = (answered(rng, prompts, samples, shift) for _ in range(suites))
    return [compare(baseline.tolist(), tuned.tolist()) for baseline, tuned in pairs]


@pytest.mark.parametrize("prompts", [5, 20, 50, 100])
def test_equal_models_are_called_different_in_at_most_6_of_100_suites(prompts: int) -> None:
    found = compared(prompts, 5, 0)
    assert fmean(one.outcome in ("better", "worse") for one in found) <= 0.06
    if prompts < 10:
        assert all(one.interval is None for one in found)
    else:  # two standard errors of the simulation above 5 %
        assert fmean(not one.interval.holds(0) for one in found if one.interval) <= 0.072


@pytest.mark.parametrize(
    ("prompts", "samples", "shift", "power"),
    [(20, 5, 0.6, 0.22), (50, 5, 0.6, 0.57), (100, 5, 0.6, 0.87), (20, 5, 1.2, 0.71), (50, 1, 1.2, 0.45)],
)
def test_a_true_difference_is_found_as_often_as_foretold(
    prompts: int, samples: int, shift: float, power: float
) -> None:
    found = compared(prompts, samples, shift, suites=250)
    assert fmean(one.outcome == "better" for one in found) == pytest.approx(power, abs=0.08)
    assert all(one.outcome != "worse" for one in found)


def test_with_the_prompts_it_asked_for_the_difference_is_found_in_4_of_5_suites() -> None:
    (pilot,) = compared(3000, 5, 0.6, suites=1)
    found = compared(prompts_for(pilot.difference, pilot.spread), 5, 0.6, suites=250)
    assert fmean(one.outcome == "better" for one in found) == pytest.approx(POWER, abs=0.08)
