"""How full the batches of a run would be, from the lengths of its rows alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

from lora_tui.jobs.audit import Packing
from lora_tui.worker.packs import packs_of

_NEIGHBOURS = 16  # batches among which training looks for rows of similar length


def packing(lengths: Sequence[int], batch: int, max_length: int) -> Packing:
    """Shares of token slots that hold a token, for three ways to make batches of `batch` rows."""
    total = sum(lengths)
    if not total:
        return Packing()
    order = list(lengths)
    random.Random(0).shuffle(order)
    window = batch * _NEIGHBOURS
    near = [length for at in range(0, len(order), window) for length in sorted(order[at : at + window], reverse=True)]
    packs = len(packs_of(lengths, max_length))
    return Packing(
        padded=total / _slots(order, batch),
        grouped=total / _slots(near, batch),
        packed=total / (packs * max_length),
        packs=packs,
    )


def _slots(lengths: Sequence[int], batch: int) -> int:
    """Slots of batches that are each as wide as their longest row."""
    parts = (lengths[at : at + batch] for at in range(0, len(lengths), batch))
    return sum(max(part) * len(part) for part in parts)
