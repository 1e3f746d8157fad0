"""The order in which rows are trained on: it depends on the seed and the epoch alone, so that a run can be resumed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch.utils.data import Sampler

Strategy = Literal["group_by_length", "random", "sequential"]

_NEIGHBOURS = 16  # batches among which rows of similar length are looked for


class RowOrder(Sampler[int]):
    """Indices of rows, every one once an epoch.

    `group_by_length` is a random order in which neighbours have similar lengths, so that batches of `batch` rows pad
    little; `lengths` are in tokens. The last `filling` rows only fill up the last step, and come last in every epoch.
    """

    def __init__(self, strategy: Strategy, lengths: Sequence[int], batch: int, seed: int, *, filling: int = 0) -> None:
        self.strategy = strategy
        self.lengths = lengths[: len(lengths) - filling]
        self.filling = filling
        self.batch = batch
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths) + self.filling

    def __iter__(self) -> Iterator[int]:
        yield from self._rows()
        yield from range(len(self.lengths), len(self))

    def _rows(self) -> Iterator[int]:
        if self.strategy == "sequential":
            yield from range(len(self.lengths))
            return
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=random).tolist()
        if self.strategy == "random":
            yield from order
            return
        window = self.batch * _NEIGHBOURS
        batches: list[list[int]] = []
        for at in range(0, len(order), window):
            part = sorted(order[at : at + window], key=lambda index: -self.lengths[index])
            batches += [part[start : start + self.batch] for start in range(0, len(part), self.batch)]
        full = [batch for batch in batches if len(batch) == self.batch]
        rest = [index for batch in batches if len(batch) < self.batch for index in batch]
        for place in torch.randperm(len(full), generator=random).tolist():
            yield from full[place]
        yield from rest
