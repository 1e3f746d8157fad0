"""What is said of a curve, and of which nothing is."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest

from lora_tui.worker.guards import rules
from lora_tui.worker.guards.rules import Point

TABLE = rules.rules()


def plateau_of(losses: Sequence[float], total: int = 0, rates: Sequence[float] = ()) -> list[int]:
    """The steps at which the rule says flat, as the curve grows."""
    curve = [Point(step, loss, rates[step - 1] if rates else 1.0) for step, loss in enumerate(losses, start=1)]
    return [end for end in range(2, len(curve) + 1, 3) if rules.plateau(curve[:end], total or len(curve))]


def exploding_of(norms: Sequence[float]) -> list[int]:
    """The steps at which the rule says exploding."""
    return [end for end in range(1, len(norms) + 1) if rules.exploding(norms[:end], end)]


def rising_of(losses: Sequence[float]) -> list[int]:
    """The evaluations at which the rule says rising."""
    return [end for end in range(1, len(losses) + 1) if rules.eval_rising(losses[:end], end)]


RULES: list[tuple[rules.Rule, Callable[[Sequence[float]], list[int]]]] = [
    (TABLE.exploding, exploding_of),
    (TABLE.plateau, plateau_of),
    (TABLE.eval_rising, rising_of),
]


@pytest.mark.parametrize(("rule", "steps"), RULES, ids=["exploding", "plateau", "eval_rising"])
def test_every_rule_speaks_on_its_own_examples_and_is_silent_on_the_others(
    rule: rules.Rule, steps: Callable[[Sequence[float]], list[int]]
) -> None:
    assert rule.fires
    assert rule.silent
    for curve in rule.fires:
        assert steps(curve), curve
    for curve in rule.silent:
        assert not steps(curve), curve


@pytest.mark.parametrize("noise", [0.0, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("steps", [5, 20, 60, 300, 2000])
def test_a_run_that_learns_is_never_called_flat_however_short_or_noisy(steps: int, noise: float) -> None:
    for seed in range(5):
        draw = random.Random(seed)
        losses = [(0.6 + 1.9 * math.exp(-3 * at / steps)) * (1 + draw.gauss(0, noise)) for at in range(steps)]
        half = [0.5 * (1 + math.cos(math.pi * at / steps)) for at in range(steps)]  # cosine: nothing moves at its end
        told = plateau_of(losses, steps, half) if steps <= 300 else plateau_of(losses[::20], steps, half[::20])
        assert not told, (seed, told)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
def test_a_run_that_learns_nothing_is_called_flat_before_a_third_of_it_is_over(noise: float) -> None:
    for seed in range(2):
        draw = random.Random(seed)
        losses = [2.3 * (1 + draw.gauss(0, noise)) for _ in range(400)]
        told = plateau_of(losses)
        assert told
        assert told[0] <= 134


def test_the_warm_up_is_no_plateau() -> None:
    rates = [step / 100 for step in range(1, 101)]
    assert not [step for step in plateau_of([2.3] * 100, 100, rates) if step < 30]


@pytest.mark.parametrize("spread", [0.2, 0.5, 0.9])
def test_noisy_gradients_do_not_explode(spread: float) -> None:
    for seed in range(5):
        draw = random.Random(seed)
        assert not exploding_of([math.exp(draw.gauss(0, spread)) for _ in range(150)]), seed


def test_a_finding_says_where_and_what_to_do() -> None:
    norms = [*([1.0] * 20), 40.0, 55.0, 90.0]
    found = rules.exploding(norms, 23)
    assert found is not None
    assert found.message == "the gradients explode: their norm was 90 at step 23, 90 times the usual"
    assert "training.learning_rate" in found.advice
    flat = rules.plateau([Point(step, 2.3) for step in range(1, 61)], 60)
    assert flat is not None
    assert flat.message == "the loss is flat: 2.300 at step 1, 2.300 at step 60"
    risen = rules.eval_rising([2.0, 1.5, 1.6, 1.7, 1.8], 50)
    assert risen is not None
    assert risen.message == "the validation loss has risen 3 times in a row: 1.500 at its best, 1.800 at step 50"
    assert "step 7; that step changed no weight" in rules.nan(7).message


@pytest.mark.parametrize(
    ("losses", "threshold", "passed"),
    [
        ([], 0.0, 0),
        ([2.0, 1.5, 1.4], 0.0, 0),
        ([2.0, 1.5, 1.6, 1.5], 0.0, 2),
        ([2.0, 1.5, 1.49, 1.48], 0.05, 2),
        ([2.0, 1.5, 1.47, 1.44], 0.05, 0),
        ([2.0, math.nan, 1.9], 0.0, 0),
    ],
)
def test_patience_is_counted_from_the_last_evaluation_that_was_better(
    losses: list[float], threshold: float, passed: int
) -> None:
    assert rules.evaluations_without_better(losses, threshold) == passed
