"""How many threads to train with on a CPU, found by trying.

On cores that others use too, a second thread can cost ten times what it brings: every operation waits for the slowest.
"""

from __future__ import annotations

import os
import time

import torch

SMALL = 1024  # below this width a second thread brings little and can cost much
_TRIES = 5
_WORK = 40  # products per try


def choose_threads(hidden_size: int, *, rows: int = 512) -> int:
    """Set and return torch's thread count: all cores, or one where all are no faster. Takes about half a second.

    What is timed is a chain of matrix products of the model's own width, `rows` tokens at a time.
    """
    most = torch.get_num_threads()
    if most == 1:
        return 1
    if hidden_size < SMALL and os.getloadavg()[0] > most / 2:  # a quiet moment while probing would mislead
        torch.set_num_threads(1)
        return 1
    seconds = {count: _seconds(count, hidden_size, rows) for count in (1, most)}
    best = most if seconds[most] < 0.9 * seconds[1] else 1
    torch.set_num_threads(best)
    return best


def _seconds(count: int, width: int, rows: int) -> float:
    """Median seconds of a try: a burst of luck on busy cores must not decide."""
    torch.set_num_threads(count)
    left, right = torch.ones(rows, width), torch.ones(width, width) / width
    work = max(2, min(_WORK, int(5e9 / (2 * rows * width * width))))
    taken = []
    for _ in range(_TRIES):
        begin = time.perf_counter()
        value = left
        for _ in range(work):
            value = torch.nn.functional.silu(value @ right)
        taken.append(time.perf_counter() - begin)
    return sorted(taken)[_TRIES // 2]
