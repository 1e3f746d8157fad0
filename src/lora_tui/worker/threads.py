"""How many threads to train with on a CPU, found by trying the base's own products.

On cores that others use too, a second thread can cost ten times what it brings: every operation waits for the slowest.
"""

from __future__ import annotations

import os
import time
from typing import Any

import torch

SMALL = 1024  # below this width a second thread brings little and can cost much
_TRIES = 5
_WORK = 1e9  # multiplications of a try: some hundredths of a second of one core
_WORTH = 0.9  # more threads must take less than this part of the time


def choose_threads(model: Any, asked: int = 0, *, rows: int = 512) -> int:
    """Set and return torch's thread count: `asked`, or as many of all cores, a half, a quarter … as bring something.

    What is timed are the layers of the model's first block, in its own width and precision, with `rows` tokens: about
    half a second.
    """
    if asked:
        torch.set_num_threads(asked)
        return asked
    most = torch.get_num_threads()
    layers = _first_block(model)
    if most == 1 or not layers:
        return most
    busy = os.getloadavg()[0] > most / 2  # a quiet moment while probing would mislead
    if busy and model.config.get_text_config().hidden_size < SMALL:
        torch.set_num_threads(1)
        return 1
    best, least = 1, _seconds(1, layers, rows)
    for count in sorted({max(2, most // part) for part in (1, 2, 4)}):
        if (taken := _seconds(count, layers, rows)) < _WORTH * least:
            best, least = count, taken
    torch.set_num_threads(best)
    return best


def _first_block(model: Any) -> list[torch.nn.Linear]:
    """The dense layers of the first block that has any: of the first of the longest list of modules."""
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    blocks: Any = max(lists, key=len, default=[])
    for block in blocks:
        if layers := [layer for layer in block.modules() if isinstance(layer, torch.nn.Linear)]:
            return layers
    return []


def _seconds(count: int, layers: list[torch.nn.Linear], rows: int) -> float:
    """Median seconds of a try: a burst of luck on busy cores must not decide."""
    torch.set_num_threads(count)
    weights = sum(layer.in_features * layer.out_features for layer in layers)
    rows = max(16, min(rows, int(_WORK / weights)))
    repeat = max(1, min(20, int(_WORK / (rows * weights))))
    floats = [layer.weight.dtype for layer in layers if layer.weight.is_floating_point()]  # a 4-bit one takes any
    given = {layer.in_features: torch.ones(rows, layer.in_features, dtype=(*floats, None)[0]) for layer in layers}
    taken = []
    with torch.no_grad():
        for _ in range(_TRIES):
            begin = time.perf_counter()
            for _ in range(repeat):
                for layer in layers:
                    torch.nn.functional.silu(layer(given[layer.in_features]))
            taken.append(time.perf_counter() - begin)
    return sorted(taken)[_TRIES // 2]
