"""The optimizer of a run: Trainer's own by its name, or LoRA+ around it."""

from __future__ import annotations

from typing import Any

import torch
from peft.optimizers import create_loraplus_optimizer
from transformers import Trainer, TrainingArguments


def loraplus(args: TrainingArguments, model: Any, ratio: float) -> torch.optim.Optimizer:
    """The optimizer that `args.optim` names, in which B learns `ratio` times faster than A (Hayou et al. 2024)."""
    kind, settings = Trainer.get_optimizer_cls_and_kwargs(args, model)
    rate = settings.pop("lr")
    return create_loraplus_optimizer(
        model, kind, lr=rate, loraplus_lr_ratio=ratio, loraplus_weight_decay=args.weight_decay, **settings
    )
