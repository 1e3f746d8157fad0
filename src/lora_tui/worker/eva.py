"""EVA: A begins as the directions in which the run's own rows vary most (Paischer et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset
from peft import initialize_lora_eva_weights

BATCHES = 32  # looked at, at most; it ends sooner when the directions stand still


def begin_from_rows(model: Any, rows: Dataset, collate: Callable[..., Any], batch: int, device: str) -> None:
    """Set the adapters' first weights from the first rows of the run, in their order."""
    size = max(batch, 2)
    first = rows.select(range(min(len(rows), BATCHES * size)))
    chosen = [{"input_ids": row["input_ids"], "labels": row["labels"]} for row in first]
    batches = [chosen[at : at + size] for at in range(0, len(chosen), size)]
    loader = [{key: value.to(device) for key, value in collate(part).items()} for part in batches]
    was_training = model.training
    model.eval()
    with torch.no_grad():
        initialize_lora_eva_weights(model, loader, show_progress_bar=False, gather_distributed_inputs=False)
    model.train(was_training)
