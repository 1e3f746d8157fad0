"""L2 to where the run started: the weights stay near, in every direction alike."""

from __future__ import annotations

from typing import Any

import torch

from lora_tui.worker.forgetting.before import Before


class L2:
    """weight · Σ (θ − θ*)² over all trained weights; θ* are those the run started from."""

    def __init__(self, weight: float, start: Before) -> None:
        self.weight = weight
        self.start = start

    def __call__(self, model: Any, step: int) -> torch.Tensor:
        """The penalty."""
        parameters = dict(model.named_parameters())
        terms = [((parameters[name].float() - then.float()) ** 2).sum() for name, then in self.start.weights.items()]
        return self.weight * torch.stack(terms).sum()
