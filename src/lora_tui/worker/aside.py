"""Looking at a model in the middle of its training without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def aside(model: Any) -> Iterator[None]:
    """The model in eval mode; afterwards its mode and every random state are what they were.

    In eval mode nothing is dropped out and no layer is checkpointed, so that a key-value cache works.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        model.train(was_training)
