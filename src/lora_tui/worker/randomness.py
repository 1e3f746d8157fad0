"""The state of every random generator that training draws from."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy
import torch


class Randomness(msgspec.Struct, frozen=True):
    """The generators at one moment."""

    python: Any
    numpy: Any
    cpu: torch.Tensor
    cuda: list[torch.Tensor]


def take() -> Randomness:
    """What they are now."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return Randomness(python=random.getstate(), numpy=numpy.random.get_state(), cpu=torch.get_rng_state(), cuda=cuda)


def give_back(state: Randomness) -> None:
    """Make them again what they were."""
    random.setstate(state.python)
    numpy.random.set_state(state.numpy)
    torch.set_rng_state(state.cpu)
    if state.cuda:
        torch.cuda.set_rng_state_all(state.cuda)
