"""Rows to batches: padding on the right, masked by position and never by token id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from datasets import Dataset
from torch.utils.data import Sampler

from lora_tui.worker.tokenize import IGNORED, Tokens


class Padded:
    """A collator: rows of token ids to `input_ids`, `labels` and `attention_mask`, each (rows, longest row)."""

    def __init__(self, pad: int) -> None:
        self.pad = pad

    def __call__(self, rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """One batch."""
        length = max(len(row["input_ids"]) for row in rows)

        def filled(key: str, with_: int) -> torch.Tensor:
            return torch.tensor([row[key] + [with_] * (length - len(row[key])) for row in rows])

        sizes = torch.tensor([len(row["input_ids"]) for row in rows])
        return {
            "input_ids": filled("input_ids", self.pad),
            "labels": filled("labels", IGNORED),
            "attention_mask": (torch.arange(length)[None, :] < sizes[:, None]).long(),
        }


def as_dataset(rows: Sequence[Tokens]) -> Dataset:
    """Tokenised rows as the kind of dataset SFTTrainer insists on."""
    return Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})


class SimilarLengths(Sampler[int]):
    """Random order in which neighbours have similar lengths, so that batches pad little.

    The order depends on the seed and the epoch alone, so a resumed run sees the rows it would have seen.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self.lengths = lengths
        self.batch = batch
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=random).tolist()
        window = self.batch * 16
        batches: list[list[int]] = []
        for at in range(0, len(order), window):
            part = sorted(order[at : at + window], key=lambda index: -self.lengths[index])
            batches += [part[start : start + self.batch] for start in range(0, len(part), self.batch)]
        full = [batch for batch in batches if len(batch) == self.batch]
        rest = [index for batch in batches if len(batch) < self.batch for index in batch]
        for place in torch.randperm(len(full), generator=random).tolist():
            yield from full[place]
        yield from rest
