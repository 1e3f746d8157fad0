"""The schedule that transformers does not have: exponential."""

from __future__ import annotations

from functools import partial

import torch
from torch.optim.lr_scheduler import LambdaLR

LOWEST = 0.01  # of the learning rate, at the last step


def exponential(
    optimizer: torch.optim.Optimizer, warmup: int, total: int, min_lr_rate: float = LOWEST
) -> torch.optim.lr_scheduler.LRScheduler:
    """After the warm-up each step multiplies by the same factor, so that the last one has `min_lr_rate` of the rate."""
    return LambdaLR(optimizer, partial(_part, warmup=warmup, total=total, lowest=min_lr_rate))


def _part(step: int, *, warmup: int, total: int, lowest: float) -> float:
    if step < warmup:
        return step / max(1, warmup)
    return float(lowest ** ((step - warmup) / max(1, total - warmup)))
