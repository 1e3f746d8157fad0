"""Cross entropy that computes logits only where there is a label."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from lora_tui.worker.mask import IGNORED


def can_skip_masked(model: Any) -> bool:
    """Whether `label_only_loss` equals the model's own loss: a plain backbone and head, and no LoRA on the head."""
    config = model.config.get_text_config()
    return (
        type(getattr(model, "lm_head", None)) is torch.nn.Linear
        and hasattr(model, "model")
        and not getattr(config, "final_logit_softcapping", None)
        and not getattr(config, "logit_scale", None)
        and not getattr(config, "logits_scaling", None)
        and not getattr(config, "output_router_logits", False)
    )


def label_only_loss(model: Any, inputs: dict[str, torch.Tensor], items: torch.Tensor | int | None) -> torch.Tensor:
    """Mean cross entropy in nats over `items` labels (this batch's when None).

    Positions without a label add nothing to the loss, so they need not pass through `lm_head`, which is most of the
    work of a small model. Hidden states are (rows, length, hidden); what goes through the head is (labels, hidden).
    """
    hidden = model.model(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
    ).last_hidden_state[:, :-1]
    labels = inputs["labels"][:, 1:]
    wanted = labels != IGNORED
    logits = model.lm_head(hidden[wanted]).float()
    total = functional.cross_entropy(logits, labels[wanted], reduction="sum")
    count = wanted.sum() if items is None else torch.as_tensor(items, device=total.device)
    return total / count.clamp(min=1)
