"""Ranking three or more models from votes between pairs of them (Bradley and Terry 1952)."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, sqrt
from statistics import NormalDist

import msgspec

from lora_tui.verify.statistics.interval import LEVEL, Interval

_STEPS = 200
_CLOSE = 1e-10


class Ranked(msgspec.Struct, frozen=True):
    """One model's place."""

    model: str
    strength: float  # log-odds against a model of mean strength; the models' strengths sum to 0
    interval: Interval  # 95 % of it
    wins: float  # ties count half


class Ranking(msgspec.Struct, frozen=True):
    """The models, strongest first; none, and why, when the votes do not order them."""

    models: tuple[Ranked, ...]
    why_not: str = ""

    def chance(self, model: str, other: str) -> float:
        """That `model` wins a vote against `other`. Raises KeyError for a model not ranked."""
        strengths = {one.model: one.strength for one in self.models}
        return 1 / (1 + exp(strengths[other] - strengths[model]))


def bradley_terry(wins: Mapping[tuple[str, str], float]) -> Ranking:
    """Rank from {(winner, loser): votes}; give half a vote each way for a tie.

    Strengths by maximum likelihood with Newton's method, intervals from the inverse of Fisher's information. They are
    finite only if no group of models has won or lost every vote against the rest (Ford 1957); else nothing is ranked.
    """
    models = sorted({model for pair, count in wins.items() if count for model in pair})
    if len(models) < 3:
        return Ranking((), "ranking needs votes between three or more models")
    apart = _apart(models, wins)
    if apart:
        others = ", ".join(model for model in models if model not in apart)
        return Ranking((), f"{', '.join(apart)} never won against {others}: vote on more pairs")
    import numpy as np

    size = len(models)
    place = {model: number for number, model in enumerate(models)}
    table = np.zeros((size, size))
    for (winner, loser), count in wins.items():
        if count:
            table[place[winner], place[loser]] += count
    games = table + table.T
    strengths = np.zeros(size)
    for _ in range(_STEPS):
        chances = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
        weights = games * chances * (1 - chances)
        information = np.diag(weights.sum(axis=1)) - weights
        covariance = np.linalg.pinv(information, hermitian=True)
        step = covariance @ (table - games * chances).sum(axis=1)
        strengths = strengths + np.clip(step, -1, 1)
        if np.abs(step).max() < _CLOSE:
            break
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    ranked = []
    for model, number in place.items():
        value, half = float(strengths[number]), z * sqrt(max(0.0, float(covariance[number, number])))
        won = float(table[number].sum())
        ranked.append(Ranked(model, value, Interval(value - half, value + half), won))
    return Ranking(tuple(sorted(ranked, key=lambda one: -one.strength)))


def _apart(models: list[str], wins: Mapping[tuple[str, str], float]) -> list[str]:
    """Models that never won against any of the rest; none when every model beat every other, if only through others."""
    beaten_by: dict[str, set[str]] = {model: set() for model in models}
    for (winner, loser), count in wins.items():
        if count:
            beaten_by[loser].add(winner)
    for start in models:
        reached, waiting = {start}, [start]
        while waiting:
            new = beaten_by[waiting.pop()] - reached
            reached |= new
            waiting += new
        if len(reached) < len(models):
            return [model for model in models if model not in reached]
    return []
