"""KL to the model as it was: on the replay questions' texts it goes on saying what it said before.

Li & Hoiem 2016 (learning without forgetting), with the previous model's whole distribution at every token.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch

from lora_tui.worker.aside import aside
from lora_tui.worker.forgetting.before import Before
from lora_tui.worker.forgetting.scores import batch_of, divergence, ends_of
from lora_tui.worker.tokenize import Tokens


class KL:
    """weight · mean over the answers' tokens of KL(before ‖ now), on `size` texts a step.

    Which texts: told by the seed and the step alone, so that a resumed run sees those it would have seen.
    """

    def __init__(self, weight: float, texts: Sequence[Tokens], before: Before, pad: int, size: int, seed: int) -> None:
        self.weight = weight
        self.texts = texts
        self.before = before
        self.pad = pad
        self.size = min(size, len(texts))
        self.seed = seed

    def __call__(self, model: Any, step: int) -> torch.Tensor:
        """The penalty, from two forward passes."""
        draw = random.Random(f"{self.seed} {step}")
        batch = batch_of(draw.sample(self.texts, self.size), self.pad)
        with aside(model), torch.no_grad(), self.before.in_force(model):
            then = ends_of(model, batch)
        with torch.random.fork_rng():  # the same dropout in every process, and none taken from the training's
            torch.manual_seed(draw.getrandbits(32))
            now = ends_of(model, batch)
        return self.weight * divergence(then, now) / len(now.labels)
