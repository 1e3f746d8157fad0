"""The model as it was before this run: what it is held to, and what forgetting is measured from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lora_tui.worker.tensors import load_tensors, save_tensors


class Before:
    """The trained weights as they were at the start; with none kept, the base alone was before."""

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self.weights = weights  # by parameter name

    @contextmanager
    def in_force(self, model: Any) -> Iterator[None]:
        """The model with its weights of before. Not while a graph of it waits for its backward."""
        if not self.weights:
            with model.disable_adapter():
                yield
            return
        parameters = dict(model.named_parameters())
        now = {name: parameters[name].data for name in self.weights}
        try:
            for name, weight in self.weights.items():
                parameters[name].data = weight
            yield
        finally:
            for name, weight in now.items():
                parameters[name].data = weight


def base_alone() -> Before:
    """What was before a fresh adapter that changes nothing yet."""
    return Before({})


def weights_before(model: Any, path: Path) -> Before:
    """The trainable weights that `path` keeps; where there is no such file yet, those of now, kept there from now on.

    `model` must not have taken up a checkpoint yet.
    """
    trainable = {name: item for name, item in model.named_parameters() if item.requires_grad}
    if path.is_file():
        kept = load_tensors(path)
        return Before({name: kept[name].to(item) for name, item in trainable.items()})
    weights = {name: item.detach().clone() for name, item in trainable.items()}
    save_tensors(weights, path)
    return Before(weights)
