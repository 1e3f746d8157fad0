"""Gradient checkpointing of as many layers as memory asks for, and no more: each costs its forward pass twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers.modeling_layers import GradientCheckpointingLayer

KEPT_BYTES = 2 << 30  # of activations that are kept: less than what TRL takes for logits that are not made here


class Recompute:
    """Says before each forward pass which layers keep their activations and which make them again.

    How many bytes a layer keeps for a token is measured in the first pass, at the second layer (the first keeps less:
    nothing below it is trained), and the layers after it are told at once. Recomputing changes no number: dropout
    draws again what it drew.
    """

    def __init__(self, model: Any) -> None:
        self.layers = [layer for layer in model.modules() if isinstance(layer, GradientCheckpointingLayer)]
        self.bytes_per_slot = 0.0  # of a layer
        if self.layers:
            _measured(self.layers[self._sample], self._found)

    @property
    def _sample(self) -> int:
        """The place of the layer that is measured."""
        return min(1, len(self.layers) - 1)

    def plan(self, slots: int) -> None:
        """Prepare a pass over so many token slots: the last layers keep what they make, as many as fit."""
        if self.bytes_per_slot:
            kept = max(1, int(KEPT_BYTES / (self.bytes_per_slot * slots)))
            self._recompute(0, len(self.layers) - kept)
        else:
            self._recompute(0, len(self.layers))
            if self.layers:
                self.layers[self._sample].gradient_checkpointing = False

    def _recompute(self, first: int, end: int) -> None:
        """Of the layers from `first` on, those before `end`, and no others."""
        for place, layer in enumerate(self.layers[first:], start=first):
            layer.gradient_checkpointing = place < end

    def _found(self, size: float, slots: int) -> None:
        """The rest of the first pass: the measured layer is one of those that keep."""
        self.bytes_per_slot = size / slots
        kept = max(1, int(KEPT_BYTES / size) - 1)
        self._recompute(self._sample + 1, len(self.layers) - kept)


def _measured(layer: Any, tell: Callable[[float, int], None]) -> None:
    """Let the layer's next forward pass with gradients tell the bytes that it keeps, and for how many token slots."""
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
        tell(sum(kept.values()), hidden.shape[0] * hidden.shape[1])
        return made

    layer.forward = forward
