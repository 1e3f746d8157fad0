"""Gradient checkpointing of as many layers as memory asks for, and no more: each costs its forward pass twice."""

from __future__ import annotations

from typing import Any

import torch
from transformers.modeling_layers import GradientCheckpointingLayer

KEPT_BYTES = 2 << 30  # of activations that are kept: less than what TRL takes for logits that are not made here


class Recompute:
    """Says before each forward pass which layers keep their activations and which make them again.

    How many bytes a layer keeps for a token is measured at the last layer of the first pass, in which all others are
    recomputed. Recomputing changes no number: dropout draws again what it drew.
    """

    def __init__(self, model: Any) -> None:
        self.layers = [layer for layer in model.modules() if isinstance(layer, GradientCheckpointingLayer)]
        self.bytes_per_slot = 0.0  # of a layer
        if self.layers:
            _measured(self.layers[-1], self._found)

    def plan(self, slots: int) -> int:
        """Prepare a pass over so many token slots; returns how many layers keep what they make."""
        fits = int(KEPT_BYTES / (self.bytes_per_slot * slots)) if self.bytes_per_slot else 1
        kept = min(len(self.layers), max(1, fits))
        for place, layer in enumerate(self.layers):
            layer.gradient_checkpointing = place < len(self.layers) - kept
        return kept

    def _found(self, size: float) -> None:
        self.bytes_per_slot = size


def _measured(layer: Any, tell: Any) -> None:
    """Let the layer's next forward pass with gradients tell the bytes it keeps for each token slot."""
    weights = {weight.untyped_storage().data_ptr() for weight in layer.parameters()}
    stock = layer.forward

    def forward(hidden: torch.Tensor, *given: Any, **named: Any) -> Any:
        if not (torch.is_grad_enabled() and layer.training):
            return stock(hidden, *given, **named)
        kept: dict[int, int] = {}

        def see(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        del layer.forward  # the class's own again
        with torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor):
            made = stock(hidden, *given, **named)
        tell(sum(kept.values()) / (hidden.shape[0] * hidden.shape[1]))
        return made

    layer.forward = forward
