"""In which order questions are asked, so that neither side gains by it and no server has both sides at once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from lora_tui.verify.suites.suite import Suite


class Place(NamedTuple):
    """One question: which prompt, of which side, which sample of it."""

    prompt: int
    side: str
    sample: int


def samples_of(suite: Suite, wanted: int, greedy: bool) -> list[int]:
    """Samples of each prompt: as many as `wanted`, else as its test or the suite says; greedy ones are all alike."""
    return [1 if greedy else wanted or case.repeat or suite.repeat for case in suite.cases]


def rounds(sides: Sequence[str], samples: Sequence[int], seed: int) -> list[tuple[str, list[Place]]]:
    """Who is asked what, one side after another: half of the first side, all of the others, its other half.

    A machine that grows warm or busy meanwhile then falls on both sides alike, and requests of two adapters never meet
    in one batch, where servers have mixed them up. Each side's questions are shuffled, all in the same way.
    """
    places = [(prompt, sample) for prompt, many in enumerate(samples) for sample in range(many)]
    random.Random(seed).shuffle(places)
    of = {side: [Place(prompt, side, sample) for prompt, sample in places] for side in sides}
    first, *others = sides
    half = len(places) // 2
    asked = [(first, of[first][:half]), *((side, of[side]) for side in others), (first, of[first][half:])]
    return [(side, some) for side, some in asked if some]
