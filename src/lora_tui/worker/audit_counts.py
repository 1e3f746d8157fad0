"""The numbers of an audit: how many tokens the rows of a split have, and how many of them carry loss."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from lora_tui.jobs.audit import Bin, Counted

_SMALLEST = 64  # the first bin of a histogram


class SplitCounts:
    """Rows of one split, counted as they come; 12 bytes a row."""

    def __init__(self) -> None:
        self.lengths = array("I")
        self.losses = array("I")
        self.prompts = array("I")  # tokens before the first that carries loss

    def see(self, tokens: int, loss_tokens: int, prompt: int) -> None:
        """A row, or a part of one, that is trained on."""
        self.lengths.append(tokens)
        self.losses.append(loss_tokens)
        self.prompts.append(prompt)

    def counted(self) -> Counted:
        """All of it."""
        return Counted(
            rows=len(self.lengths),
            tokens=sum(self.lengths),
            loss_tokens=sum(self.losses),
            longest=max(self.lengths, default=0),
            most_loss_tokens=max(self.losses, default=0),
            lengths=histogram(self.lengths),
            losses=histogram(self.losses),
            prompts=histogram(self.prompts),
        )


def histogram(counts: Sequence[int]) -> tuple[Bin, ...]:
    """Rows per power of two, from 64 on; powers between that hold none are shown as 0."""
    if not counts:
        return ()
    found: dict[int, int] = {}
    for count in counts:
        up_to = max(_SMALLEST, 1 << max(0, count - 1).bit_length())
        found[up_to] = found.get(up_to, 0) + 1
    bins, up_to = [], min(found)
    while up_to <= max(found):
        bins.append(Bin(up_to=up_to, rows=found.get(up_to, 0)))
        up_to *= 2
    return tuple(bins)


def far_above(counts: Sequence[int]) -> float:
    """Values above this are outliers: upper quartile and three times the quartiles' distance (Tukey's outer fence)."""
    low, high = np.quantile(np.asarray(counts), (0.25, 0.75))
    return float(high + 3 * (high - low))
