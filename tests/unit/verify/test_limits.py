"""Gates' arithmetic: a rate or a difference lies on one side of a limit, or so many prompts are missing."""

from __future__ import annotations

import random

import pytest

from lora_tui.verify.statistics import compare, difference_side, rate, rate_side, wilson

P, F = [True], [False]


def pairs(better: int, worse: int, same: int) -> tuple[list[list[bool]], list[list[bool]]]:
    """Baseline and tuned of so many prompts."""
    return [F] * better + [P] * worse + [P] * same, [P] * better + [F] * worse + [P] * same


@pytest.mark.parametrize(
    ("passed", "of", "limit", "above", "needed"),
    [
        (5, 5, 0.98, None, 189),  # n / (n + 1.96²) reaches 0.98 at 189
        (189, 189, 0.98, True, 0),
        (188, 188, 0.98, None, 189),
        (20, 20, 0.80, True, 0),  # 20 / 23.84 = 0.839
        (0, 5, 0.98, False, 0),
        (19, 20, 0.98, None, 0),
        (90, 100, 0.98, False, 0),  # Wilson: 0.826 to 0.945
    ],
)
def test_a_rate_is_told_from_a_limit_by_wilsons_interval(
    passed: int, of: int, limit: float, above: bool | None, needed: int
) -> None:
    side = rate_side(rate([P] * passed + [F] * (of - passed)), limit, of)
    assert side.above is above
    if needed:
        assert of + side.more == needed
    assert (side.more > 0) is (above is None)


def test_so_many_more_prompts_at_this_rate_do_decide() -> None:
    found = rate([P] * 17 + [F] * 3)
    side = rate_side(found, 0.75, 20)
    assert side.above is None
    assert wilson(0.85, 20 + side.more).low > 0.75
    assert wilson(0.85, 20 + side.more - 2).low < 0.75


@pytest.mark.parametrize(
    ("better", "worse", "same", "limit", "above"),
    [
        (8, 0, 12, 0.0, True),
        (0, 8, 12, 0.0, False),
        (3, 0, 17, 0.0, None),
        (0, 0, 60, 0.0, False),  # no difference of 5 points or more: not better
        (0, 0, 20, -0.15, True),  # 0.85^20 = 0.039: a loss of 15 points would have shown
        (0, 0, 18, -0.15, None),  # 0.85^18 = 0.054
        (1, 0, 19, -0.02, None),  # nothing lost yet, but 1 in 50 would hardly have shown in 20
        (14, 0, 1, -0.02, True),  # far from it
        (0, 12, 8, -0.02, False),
        (0, 3, 17, -0.02, None),
        (5, 0, 0, -0.02, None),  # too few for any interval
        (0, 0, 0, -0.02, None),
        (18, 0, 2, 0.5, True),
        (2, 0, 58, 0.5, False),
        (2, 0, 8, 0.5, None),
    ],
)
def test_a_difference_is_told_from_a_limit_or_is_not(
    better: int, worse: int, same: int, limit: float, above: bool | None
) -> None:
    side = difference_side(compare(*pairs(better, worse, same)), limit)
    assert side.above is above
    assert (side.more > 0) is (above is None)


@pytest.mark.parametrize(("true", "limit"), [(-0.10, -0.10), (-0.10, -0.05), (0.0, 0.0)])
def test_a_gate_that_should_fail_is_passed_by_luck_in_one_of_twenty_at_most(true: float, limit: float) -> None:
    """True difference at or below the limit, 40 prompts of 5 samples: passed in at most 5 % of 300 draws (+ 2 %)."""
    draw = random.Random(8)
    wrong = 0
    for _ in range(300):
        before, after = [], []
        for _ in range(40):
            share = draw.uniform(0.2, 0.9)
            before.append([draw.random() < share for _ in range(5)])
            after.append([draw.random() < share + true for _ in range(5)])
        wrong += difference_side(compare(before, after), limit).above is True
    assert wrong / 300 <= 0.07
