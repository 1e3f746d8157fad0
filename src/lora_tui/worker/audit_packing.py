"""How full the batches of a run would be, from the lengths of its rows alone."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from lora_tui.jobs.audit import Packing

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
    packs = first_fit_decreasing(lengths, max_length)
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


def first_fit_decreasing(lengths: Iterable[int], size: int) -> int:
    """How many packs of `size` hold all lengths: the longest first, each into the first pack it fits into.

    A tree over the packs holds the most room below each node, so that a pack is found in log n steps.
    """
    ordered = sorted(lengths, reverse=True)
    leaves = 1 << max(0, len(ordered) - 1).bit_length()
    room = [size] * (2 * leaves)
    packs = 0
    for length in ordered:
        node = 1
        while node < leaves:
            node *= 2
            if room[node] < length:
                node += 1
        room[node] -= length
        packs = max(packs, node - leaves + 1)
        while node > 1:
            node //= 2
            room[node] = max(room[2 * node], room[2 * node + 1])
    return packs
