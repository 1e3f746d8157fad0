"""What is minimised beside the cross entropy."""

from __future__ import annotations

from typing import Any, Protocol

import torch


class Penalty(Protocol):
    """One term (EWC, KL, L2), already weighted."""

    def __call__(self, model: Any, step: int) -> torch.Tensor:
        """Its value at the current weights, a scalar with a gradient; once an optimizer step.

        `model` is PEFT's, `step` counts those done. In several processes each computes the same.
        """
