"""How much memory adapters take where they are served.

vLLM keeps `max_loras` slots; a slot holds, for every adapted module (m × n), A and B padded to `max_lora_rank`:
max_lora_rank · (m + n) numbers in the base's type, whatever the adapter's own rank is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from lora_tui.adapters import describing
from lora_tui.adapters.stored import Adapter
from lora_tui.workspace.errors import BadInput

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what vLLM 0.32 allows as --max-lora-rank
_BYTES = 2  # of a number in float16 or bfloat16


class Held(msgspec.Struct, frozen=True):
    """One adapter. Bytes."""

    label: str
    file: int  # its weights on disk
    r: int  # the largest of its modules
    served: int  # in a slot of its own modules, padded to the set's rank


class ServingSet(msgspec.Struct, frozen=True):
    """Several adapters on one server. Bytes."""

    adapters: tuple[Held, ...]
    max_lora_rank: int
    max_loras: int  # one more than adapters: without a spare slot a CPU server gives base requests the last one's ΔW
    slot: int  # of every module that any of them adapts
    total: int


def file_bytes(folder: Path) -> int:
    """How large the weights are on disk; 0 where there are none."""
    path = folder / describing.WEIGHTS
    return path.stat().st_size if path.is_file() else 0


def serving_rank(ranks: Collection[int]) -> int:
    """The smallest allowed rank that holds these. Raises BadInput where none does."""
    largest = max(ranks, default=1)
    found = next((rank for rank in RANKS if rank >= largest), None)
    if found is None:
        raise BadInput(f"rank {largest} is more than vLLM serves: {RANKS[-1]}", fix="Merge it to a lower rank.")
    return found


def serving_set(adapters: Sequence[Adapter], max_lora_rank: int = 0) -> ServingSet:
    """What a set takes; `max_lora_rank` 0: the smallest that holds all. Raises BadInput where one does not fit."""
    from lora_tui.adapters.peft_folder import PeftFolder

    widths: dict[str, dict[str, int]] = {}  # label: {module: m + n}
    ranks: dict[str, int] = {}
    for item in adapters:
        with PeftFolder(item.folder, item.label) as folder:
            widths[item.label] = {name: module.rows + module.columns for name, module in folder.modules.items()}
            ranks[item.label] = max((module.r for module in folder.modules.values()), default=0)
    if max_lora_rank and max_lora_rank not in RANKS:
        known = ", ".join(map(str, RANKS))
        raise BadInput(f"vLLM has no --max-lora-rank {max_lora_rank}", fix=f"It has: {known}.")
    rank = max_lora_rank or serving_rank(ranks.values())
    for label, r in ranks.items():
        if r > rank:
            raise BadInput(f"{label} has rank {r}, more than {rank}", fix="Give a larger --max-lora-rank.")
    every = {name: width for found in widths.values() for name, width in found.items()}
    slot = rank * _BYTES * sum(every.values())
    slots = len(adapters) + 1
    held = tuple(
        Held(item.label, file_bytes(item.folder), ranks[item.label], rank * _BYTES * sum(widths[item.label].values()))
        for item in adapters
    )
    return ServingSet(held, rank, slots, slot, slot * slots)
