"""Elastic weight consolidation: weights that mattered for what was learned before stay near where they were.

Kirkpatrick et al. 2017; online, with one Fisher diagonal for all earlier tasks: Schwarz et al. 2018.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lora_tui.worker.aside import aside
from lora_tui.worker.forgetting.before import Before
from lora_tui.worker.forgetting.fisher import FisherMeter
from lora_tui.worker.forgetting.scores import at_labels, batch_of
from lora_tui.worker.tokenize import Tokens


class EWC:
    """λ/2 · Σ F (θ − θ*)² over the LoRA factors. F is per token, so that λ = 1 weighs what was before like what is new.

    F: as the earlier adapter keeps it, by parameter name; θ*: the weights the run started from.
    """

    def __init__(self, weight: float, fisher: Mapping[str, torch.Tensor], start: Before) -> None:
        self.weight = weight
        self.fisher = fisher
        self.start = start

    def __call__(self, model: Any, step: int) -> torch.Tensor:
        """The penalty."""
        parameters = dict(model.named_parameters())
        terms = [
            (importance * (parameters[name].float() - self.start.weights[name].float()) ** 2).sum()
            for name, importance in self.fisher.items()
        ]
        return self.weight / 2 * torch.stack(terms).sum()


def estimated(model: Any, texts: Sequence[Tokens], pad: int) -> dict[str, torch.Tensor]:
    """F of the model on some texts, at its weights of now; nothing of it stays behind.

    A fresh adapter's B is 0, hence nothing is known of its A: only B is protected then.
    """
    meter = FisherMeter(gamma=0.0)
    meter.attach(model)
    with aside(model), torch.enable_grad():
        for text in texts:
            batch = batch_of([text], pad)
            with meter.watching(1.0, text.loss_tokens):
                scores, labels = at_labels(model, batch)
                torch.nn.functional.nll_loss(scores, labels, reduction="sum").backward()
            model.zero_grad(set_to_none=True)
    meter.step_done()
    meter.remove()
    return meter.value()


def carried(
    earlier: Mapping[str, torch.Tensor], run: Mapping[str, torch.Tensor], gamma: float
) -> dict[str, torch.Tensor]:
    """What the next run is to be held to: γ · F of what was before, and F of this run (Schwarz et al. 2018, §3)."""
    kept = {name: item.clone() for name, item in run.items()}
    for name, item in earlier.items():
        kept[name] = kept[name] + gamma * item if name in kept else gamma * item
    return kept
