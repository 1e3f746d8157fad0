"""The charts one can look at, what each shows of one run, and what of each of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from lora_tui.tui.screens.monitor.curves import Curves
from lora_tui.tui.screens.monitor.points import EVAL, GENERAL, NORM, PACE, PASSED, RATE, RAW, SMOOTHED
from lora_tui.tui.widgets.chart_grid import Series
from lora_tui.tui.widgets.series import Decimated

LETTERS = "abcdefgh"
"""How overlaid runs are told apart, in the list, in the legend and on their lines."""
_TONES = ("primary", "accent", "good", "warn", "bad", "muted", "primary", "accent")


class Kind(msgspec.Struct, frozen=True):
    """One chart: `series` of one run, and the curve that stands for a run among several."""

    title: str
    series: tuple[Series, ...]
    of_many: str
    number: Callable[[float], str]


LOSS = Kind(
    "loss",
    (Series(RAW, tone="faint"), Series(SMOOTHED), Series(EVAL, "points", "accent")),
    SMOOTHED,
    lambda value: f"{value:.3g}",
)
EVAL_LOSS = Kind("eval loss", (Series(EVAL, tone="accent"),), EVAL, lambda value: f"{value:.4g}")
LEARNING_RATE = Kind("learning rate", (Series(RATE),), RATE, lambda value: f"{value:.1e}")
GRAD_NORM = Kind("gradient norm", (Series(NORM),), NORM, lambda value: f"{value:.3g}")
TOKENS = Kind("speed", (Series(PACE),), PACE, lambda value: f"{value:,.0f}")
PASS_RATE = Kind("pass rate", (Series(PASSED, tone="good"),), PASSED, lambda value: f"{value:.0f} %")
GENERAL_LOSS = Kind("forgetting", (Series(GENERAL, tone="warn"),), GENERAL, lambda value: f"{value:.4g}")

KINDS = (LOSS, EVAL_LOSS, LEARNING_RATE, GRAD_NORM, TOKENS, PASS_RATE, GENERAL_LOSS)
_BESIDE = (PASS_RATE, LEARNING_RATE, GENERAL_LOSS, GRAD_NORM, TOKENS)


def beside(large: Kind, curves: Curves, number: int) -> list[Kind]:
    """The charts for the small places: not the large one, and first those that have something to show."""
    others = [LOSS, *_BESIDE] if large not in (LOSS, EVAL_LOSS) else list(_BESIDE)
    found = [kind for kind in others if kind is not large and curves.has(kind.series[0].name)]
    rest = [kind for kind in (LEARNING_RATE, GRAD_NORM, TOKENS, LOSS) if kind is not large and kind not in found]
    return [*found, *rest][:number]


def of_one(kind: Kind, curves: Curves) -> tuple[Sequence[Series], Mapping[str, Decimated]]:
    """What a chart draws of one run."""
    return kind.series, curves.lines


def of_many(kind: Kind, runs: Sequence[Curves]) -> tuple[Sequence[Series], Mapping[str, Decimated]]:
    """What a chart draws of several runs: one line each."""
    series, data = [], {}
    for letter, tone, curves in zip(LETTERS, _TONES, runs, strict=False):
        name = f"{curves.title} "[:24].rstrip() + "\u2009" * LETTERS.index(letter)  # two runs may have one title
        series.append(Series(name, "line" if LETTERS.index(letter) % 2 == 0 else "dashed", tone, letter))
        data[name] = curves.lines[kind.of_many]
    return series, data
