"""What a model says at the labels of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from lora_tui.worker.collate import Padded
from lora_tui.worker.loss import can_skip_masked
from lora_tui.worker.tokenize import IGNORED, Tokens

Batch = dict[str, torch.Tensor]


def batches(rows: Sequence[Tokens], pad: int, size: int) -> list[Batch]:
    """The rows in batches of similar length, in an order that depends on their lengths and ids alone."""
    ordered = sorted(rows, key=lambda row: (len(row.input_ids), row.id, row.part))
    collate = Padded(pad)
    return [collate(_plain(ordered[at : at + size])) for at in range(0, len(ordered), size)]


def batch_of(rows: Iterable[Tokens], pad: int) -> Batch:
    """These rows as one batch."""
    return Padded(pad)(_plain(rows))


def _plain(rows: Iterable[Tokens]) -> list[dict[str, list[int]]]:
    return [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]


def at_labels(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities (labels, vocabulary) in fp32, and the labels themselves (labels,). `model` is PEFT's."""
    batch = {name: item.to(model.device) for name, item in batch.items()}
    labels = batch["labels"][:, 1:]
    wanted = labels != IGNORED
    asked = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "use_cache": False}
    base = model.get_base_model()
    if can_skip_masked(base):  # the head only where there is a label: most of the work of a small model
        scores = base.lm_head(base.model(**asked).last_hidden_state[:, :-1][wanted])
    else:
        scores = model(**asked).logits[:, :-1][wanted]
    return torch.log_softmax(scores.float(), dim=-1), labels[wanted]


def divergence(then: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
    """KL(then ‖ now) summed over the labels, in nats; both are log-probabilities (labels, vocabulary)."""
    return (then.exp() * (then - now)).sum()
