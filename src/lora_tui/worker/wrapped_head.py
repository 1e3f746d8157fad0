"""The loss where a part of the head itself is trained: new tokens, or `modules_to_save = ["lm_head"]`.

TRL's fused head multiplies by `lm_head.weight` and so would leave out, or fall over, what PEFT has wrapped around it.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.utils.other import AuxiliaryTrainingWrapper
from torch.nn import functional

from lora_tui.worker.mask import IGNORED


def head_is_wrapped(base: Any) -> bool:
    """Whether PEFT trains something of the output head of the bare model."""
    return isinstance(base.get_output_embeddings(), AuxiliaryTrainingWrapper)


def loss_through_head(
    model: Any, inputs: dict[str, torch.Tensor], items: torch.Tensor | int | None, *, processes: int = 1
) -> tuple[torch.Tensor, Any]:
    """Mean cross entropy in nats over `items` labels (this batch's when None), and the model's output.

    Logits are made where any row of the batch has a label. Where the labels are counted over all processes, whose
    gradients are averaged, the loss is theirs times as many.
    """
    labels = inputs["labels"][:, 1:]
    places = (labels != IGNORED).any(dim=0).nonzero().flatten()
    given = {key: value for key, value in inputs.items() if key != "labels"}
    outputs = model(**given, use_cache=False, logits_to_keep=places)
    kept = labels[:, places]
    logits = outputs.logits.flatten(0, 1).float()
    total = functional.cross_entropy(logits, kept.flatten(), ignore_index=IGNORED, reduction="sum")
    if items is None:
        return total / (kept != IGNORED).sum().clamp(min=1), outputs
    return total / torch.as_tensor(items, device=total.device).clamp(min=1) * processes, outputs
