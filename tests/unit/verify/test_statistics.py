"""The statistics agree with what others published, and with the same quantity reckoned in another way."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product
from math import comb, exp

import numpy as np
import pytest

from lora_tui.verify.statistics import (
    bradley_terry,
    compare,
    compare_groups,
    exact_p,
    holm,
    latency,
    noise,
    prompts_for,
    rate,
    sign_flip,
    vote,
    wilson,
)
from lora_tui.verify.statistics.interval import mean_interval, student_quantile

# Darwin's 15 pairs of maize, in eighths of an inch (Fisher 1935, The Design of Experiments, §17 and §21).
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
# American League East 1987, wins of the row's team (Agresti 2002, Categorical Data Analysis, table 10.10).
TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
WINS = (
    (0, 7, 9, 7, 7, 9, 11),
    (6, 0, 7, 5, 11, 9, 9),
    (4, 6, 0, 7, 7, 8, 12),
    (6, 8, 6, 0, 6, 7, 10),
    (6, 2, 6, 7, 0, 7, 12),
    (4, 4, 5, 6, 6, 0, 6),
    (2, 4, 1, 3, 1, 7, 0),
)


def test_the_sign_flip_test_counts_fishers_863_flips_of_32768_on_each_side() -> None:
    found = sign_flip(MAIZE)
    assert found.p == pytest.approx(2 * 863 / 2**15, abs=1e-12)
    assert found.exact


def test_fractions_are_flipped_exactly_while_few_and_drawn_with_a_seed_when_many() -> None:
    few = [value / 7 + 0.01 for value in MAIZE[:11]]
    edge = abs(sum(few))
    flips = [abs(sum(s * v for s, v in zip(signs, few, strict=True))) for signs in product((1, -1), repeat=11)]
    assert sign_flip(few).p == pytest.approx(sum(one >= edge - 1e-9 for one in flips) / 2**11)
    many = sign_flip([value / 7 for value in MAIZE], seed=1)
    assert not many.exact
    assert many == sign_flip([value / 7 for value in MAIZE], seed=1)
    assert many.p == pytest.approx(2 * 863 / 2**15, abs=0.009)  # four standard errors of 10,000 draws


def test_one_greedy_answer_per_prompt_gives_mcnemars_test() -> None:
    baseline = [[True]] * 4 + [[False]] * 15 + [[True]] * 20
    tuned = [[False]] * 4 + [[True]] * 15 + [[True]] * 20
    found = compare(baseline, tuned)
    assert (found.gained, found.lost, found.method) == (15, 4, "McNemar, exact")
    assert found.p == pytest.approx(exact_p(15, 4))
    assert found.p == pytest.approx(2 * sum(comb(19, k) for k in range(5)) / 2**19)


def test_the_sign_test_has_its_tables_critical_values() -> None:
    # Largest smaller count significant at 5 %, two-sided, for n votes (Dixon and Mood 1946, JASA 41, 557, table 1).
    for votes, critical in {6: 0, 8: 0, 9: 1, 12: 2, 15: 3, 20: 5, 25: 7, 30: 9, 50: 17, 90: 35}.items():
        assert exact_p(votes - critical, critical) <= 0.05 < exact_p(votes - critical - 1, critical + 1)


def test_wilsons_interval_is_the_one_newcombe_tabulated() -> None:
    # Newcombe 1998, Statistics in Medicine 17, 857, table I, method 3.
    for passed, of, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)):
        found = wilson(passed / of, of)
        assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_samples_of_one_prompt_do_not_count_as_that_many_prompts() -> None:
    once = rate([[True]] * 12 + [[False]] * 8)
    assert once.interval == wilson(0.6, 20)
    assert rate([[True] * 5] * 12 + [[False] * 5] * 8).interval == wilson(0.6, 20)
    rng = np.random.default_rng(3)
    alike = rate((rng.random((400, 5)) < 0.6).tolist())  # all prompts equally hard: the samples are independent
    width = alike.interval.high - alike.interval.low
    independent = wilson(alike.value, 2000)
    assert width == pytest.approx(independent.high - independent.low, rel=0.1)


def test_holm_is_the_closed_test_of_all_intersections() -> None:
    p_values = {"Rust": 0.01, "Swift": 0.04, "Ruby": 0.03, "Python": 0.005}
    # Holm 1979: the procedure is the closure of Bonferroni's tests, here over all 15 intersections.
    closed = {
        name: max(
            min(1.0, size * min(p_values[one] for one in chosen))
            for size in range(1, 5)
            for chosen in combinations(p_values, size)
            if name in chosen
        )
        for name in p_values
    }
    assert holm(p_values) == pytest.approx(closed)
    assert holm(p_values) == pytest.approx({"Rust": 0.03, "Swift": 0.06, "Ruby": 0.06, "Python": 0.02})


def test_the_bootstrap_interval_is_the_quantile_of_the_exact_resampling_distribution() -> None:
    differences = [3, -1, 0, 0, 2, 5, 0, -2, 1, 4, 0, 1]
    n = len(differences)
    sums = {0: 1.0}
    for _ in range(n):  # every resample of n, by its sum
        further: Counter[int] = Counter()
        for total, chance in sums.items():
            for value in differences:
                further[total + value] += chance / n
        sums = further
    # Hesterberg 2015: tails widened from Student's t with 11 degrees of freedom (2.2010) to the normal's scale.
    z = 2.2010 * (n / (n - 1)) ** 0.5
    tail = 0.5 * (1 - float(np.vectorize(_erf)(z / 2**0.5)))
    below = np.cumsum([sums[key] for key in sorted(sums)])
    low, high = (sorted(sums)[int(np.searchsorted(below, share))] / n for share in (tail, 1 - tail))
    found = mean_interval(differences, draws=40_000)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(low, abs=0.09), pytest.approx(high, abs=0.09))


def _erf(x: float) -> float:
    steps = np.linspace(0, x, 20_001)
    values = np.exp(-(steps**2))
    return float(2 / np.pi**0.5 * np.sum((values[1:] + values[:-1]) / 2 * np.diff(steps)))


def test_students_quantiles_are_those_of_the_printed_table() -> None:
    for freedom, value in {9: 2.262, 19: 2.093, 49: 2.010, 99: 1.984}.items():
        assert student_quantile(0.975, freedom) == pytest.approx(value, abs=6e-4)


def test_bradley_terry_has_agrestis_estimates_for_the_league_of_1987() -> None:
    found = bradley_terry({(a, b): WINS[i][j] for i, a in enumerate(TEAMS) for j, b in enumerate(TEAMS) if i != j})
    strengths = {one.model: one.strength for one in found.models}
    published = (1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0.0)  # against Baltimore
    for team, value in zip(TEAMS, published, strict=True):
        assert strengths[team] - strengths["Baltimore"] == pytest.approx(value, abs=0.006)
    assert [one.model for one in found.models] == list(TEAMS)
    # At the maximum, every team's expected wins are its wins (Ford 1957).
    for i, team in enumerate(TEAMS):
        expected = sum(13 / (1 + exp(strengths[other] - strengths[team])) for j, other in enumerate(TEAMS) if i != j)
        assert expected == pytest.approx(sum(WINS[i]), abs=1e-6)


def test_votes_that_cannot_order_the_models_order_none() -> None:
    unbeaten = bradley_terry({("a", "b"): 5, ("a", "c"): 4, ("b", "c"): 3, ("c", "b"): 2})
    assert unbeaten.models == ()
    assert unbeaten.why_not == "b, c never won against a: vote on more pairs"
    assert "three or more" in bradley_terry({("a", "b"): 5, ("b", "a"): 4}).why_not


def test_ties_say_nothing_and_six_votes_one_way_are_the_fewest_that_do() -> None:
    assert vote(0, 5, ties=40).verdict.startswith("Too few votes to tell: 5")
    assert vote(0, 6, ties=40).verdict == "The fine-tune is preferred to the baseline (6 to 0, p = 0.031)."
    assert vote(7, 9).verdict.startswith("No preference")


def test_five_prompts_are_too_few_however_clear_and_the_verdict_says_how_many_more() -> None:
    found = compare([[False] * 5] * 5, [[True] * 5] * 5)
    assert (found.outcome, found.interval, found.more) == ("undecided", None, 5)
    assert found.verdict.startswith("Too few prompts to tell (5 better and 0 worse of 5): about 5 more")


def test_no_change_on_few_prompts_is_not_called_the_same_and_on_many_it_is() -> None:
    few = compare([[True]] * 20, [[True]] * 20)
    assert few.outcome == "undecided"  # a twentieth of all prompts could differ and not one of 20 show it
    assert compare([[True], [False]] * 40, [[True], [False]] * 40).outcome == "same"


def test_a_prompt_without_an_answer_is_left_out_and_counted() -> None:
    found = compare([[True], [], [False], [True]], [[True], [True], [], [False]])
    assert (found.prompts, found.left_out, found.lost) == (2, 2, 1)
    nothing = compare([[]], [[True]])
    assert (nothing.prompts, nothing.outcome, nothing.baseline) == (0, "undecided", None)
    with pytest.raises(ValueError):
        compare([[True]], [])


def test_a_language_that_shines_by_chance_among_five_is_not_called_better() -> None:
    chance = ([[False]] * 6 + [[True]] * 10, [[True]] * 6 + [[True]] * 10)  # p = .031
    other = ([[False], [True]] * 8, [[True], [False]] * 8)
    tiny = ([[True]] * 5, [[True]] * 5)
    assert compare(*chance).outcome == "better"
    found = compare_groups({"Ruby": chance, "Rust": other, "Go": other, "Swift": tiny})
    assert found["Ruby"].outcome == "undecided"
    assert found["Ruby"].p == pytest.approx(3 * 0.03125)  # Swift cannot be tested and costs nothing


def test_latency_is_compared_on_the_same_prompt_whatever_its_length() -> None:
    rng = np.random.default_rng(2)
    seconds = np.exp(rng.normal(0, 1.5, 40))
    tuned = seconds[:, None] * 0.9 * np.exp(rng.normal(0, 0.05, (40, 3)))
    found = latency(seconds[:, None].tolist(), tuned.tolist())
    assert found is not None
    assert found.ratio == pytest.approx(0.9, abs=0.02)
    assert found.interval is not None
    assert found.interval.holds(0.9)
    assert found.p < 0.001
    assert "10 % less time" in found.verdict
    assert latency([[]], [[1.0]]) is None


def test_noise_foretells_how_far_a_second_run_of_the_same_model_lands() -> None:
    rng = np.random.default_rng(4)
    rates = rng.beta(1, 1, 50)
    runs = (rng.random((600, 50, 5)) < rates[:, None]).mean(axis=(1, 2))
    foretold = [noise((rng.random((50, 5)) < rates[:, None]).tolist()) for _ in range(20)]
    points = np.mean([one.points for one in foretold if one])
    assert np.mean(np.abs(runs[:300] - runs[300:]) <= points) == pytest.approx(0.95, abs=0.04)
    assert noise([[True], [False]]) is None
    steady = noise([[True] * 5, [False] * 5])
    assert steady is not None
    assert (steady.unsteady, steady.points) == (0, 0)


def test_the_formula_for_more_prompts_is_millers() -> None:
    # (1.959964 + 0.841621)² · 0.5² / 0.1² = 196.2
    assert prompts_for(0.1, 0.5) == 197
    assert prompts_for(1.0, 0.0, differing=0.5) == 12  # six that differ
