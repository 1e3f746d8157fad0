"""Rows to batches: padding on the right, masked by position and never by token id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from lora_tui.worker.mask import IGNORED

ROWS = "rows"  # key of a batch: the places of its rows in the table; the trainer takes it out before the model sees it


class Padded:
    """A collator: rows of token ids to `input_ids`, `labels` and `attention_mask`, each (rows, longest row).

    Packs, which say the `lengths` of their rows, get `position_ids` that begin anew at each row in place of the mask:
    an all-ones mask would make transformers forget the borders. No row is asked to foretell the next one's first token,
    and padding counts as one more row.
    """

    def __init__(self, pad: int) -> None:
        self.pad = pad

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """One batch."""
        sizes = torch.tensor([len(row["input_ids"]) for row in rows])
        slots = int(sizes.max())
        batch = {"input_ids": _filled([row["input_ids"] for row in rows], self.pad)}
        if "lengths" in rows[0]:
            places = [_starting_anew([*row["lengths"], slots - sum(row["lengths"])]) for row in rows]
            labels = [
                np.where(place[: len(row["labels"])] == 0, IGNORED, row["labels"])
                for place, row in zip(places, rows, strict=True)
            ]
            batch["labels"] = _filled(labels, IGNORED)
            batch["position_ids"] = _filled(places, 0)
            batch[ROWS] = _filled([row["rows"] for row in rows], -1)
            return batch
        batch["labels"] = _filled([row["labels"] for row in rows], IGNORED)
        batch["attention_mask"] = (torch.arange(slots)[None, :] < sizes[:, None]).long()
        if "row" in rows[0]:
            batch[ROWS] = torch.tensor([row["row"] for row in rows])
        return batch


def _starting_anew(lengths: Sequence[int]) -> Any:
    return np.concatenate([np.arange(length) for length in lengths])


def _filled(rows: Sequence[Any], with_: int) -> torch.Tensor:
    """(rows, longest): filled up on the right."""
    values = np.full((len(rows), max(len(row) for row in rows)), with_, dtype=np.int64)
    for index, row in enumerate(rows):
        values[index, : len(row)] = row
    return torch.from_numpy(values)
