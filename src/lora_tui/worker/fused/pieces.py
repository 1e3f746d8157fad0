"""Pieces of activations that a core's cache holds, memory for what is soon forgotten, which layers are alike."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import Any

import torch

_VALUES = 1 << 17  # half a megabyte of fp32: several of them fit the second cache, and the heap gives them again


def pieces(rows: int, width: int) -> Iterator[slice]:
    """Rows of (rows, width) in pieces of about `_VALUES`."""
    step = max(1, _VALUES // width)
    for begin in range(0, rows, step):
        yield slice(begin, begin + step)


def scratch(name: str, like: torch.Tensor, rows: int, width: int) -> torch.Tensor:
    """(rows, width) of `like`'s type that the next call of this name overwrites: fresh pages cost as much as the work.

    For what is made and used up within one function, in the one thread that computes.
    """
    known = _HELD.get(name)
    if known is None or known.dtype != like.dtype or known.numel() < rows * width:
        known = _HELD[name] = torch.empty(rows * width, dtype=like.dtype)
    return known[: rows * width].view(rows, width)


_HELD: dict[str, torch.Tensor] = {}


def does_the_same(layer: type[Any], known: type[Any]) -> bool:
    """Whether two classes of layers compute alike: the code of their forward pass is word for word the same."""
    code = _code_of(getattr(layer, "forward", None))
    return code is not None and code == _code_of(known.forward)


@functools.cache
def _code_of(function: Any) -> str | None:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return None


def is_hooked(module: torch.nn.Module) -> bool:
    """Whether someone watches or changes what goes through a module."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


def is_frozen_linear(module: torch.nn.Module) -> bool:
    """Whether this is a plain linear layer that is not trained, and that nobody watches."""
    return (
        type(module) is torch.nn.Linear
        and not module.weight.requires_grad
        and (module.bias is None or not module.bias.requires_grad)
        and "forward" not in vars(module)
        and not is_hooked(module)
    )
