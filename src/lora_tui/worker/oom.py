"""Out of memory: told from other errors, explained, and gone on from with a smaller batch."""

from __future__ import annotations

import gc
from typing import Any

import msgspec
import torch
from datasets import Dataset

from lora_tui.worker.collate import ROWS
from lora_tui.worker.peak import in_ram
from lora_tui.worker.token_table import ids_of, lengths_of

_WORDS = (  # what the allocators and libraries say where they raise no class of their own
    "out of memory",
    "defaultcpuallocator: can't allocate memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "unable to allocate",
    "std::bad_alloc",
)


class Batch(msgspec.Struct, frozen=True):
    """How one optimizer step is cut: rows of a micro-batch on each device, and micro-batches."""

    rows: int
    accumulation: int

    def smaller(self) -> Batch | None:
        """The same rows in at least twice as many micro-batches; None for a micro-batch of one row.

        An odd number has no half: then it is the largest part below it that gives the same whole.
        """
        whole = self.rows * self.accumulation
        rows = next((rows for rows in range(self.rows // 2, 0, -1) if whole % rows == 0), None)
        return None if rows is None else Batch(rows=rows, accumulation=whole // rows)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it, or what it was raised from, is a failed allocation on a GPU or in RAM."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(seen, RuntimeError | OSError) and any(words in str(seen).lower() for words in _WORDS):
            return True
        seen = seen.__cause__
    return False


def free() -> None:
    """Give back what nobody holds any more, once the error that held it is gone."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def reached() -> int:
    """The most bytes this process held: on its GPUs, else in RAM."""
    if torch.cuda.is_available():
        return max(torch.cuda.max_memory_allocated(index) for index in range(torch.cuda.device_count()))
    return in_ram()


class Broke(msgspec.Struct, frozen=True):
    """The micro-batch that did not fit: tokens of its longest row, and the ids of its rows, the longest first."""

    longest: int
    rows: tuple[str, ...]


def what_broke(inputs: dict[str, Any] | None, table: Dataset) -> Broke:
    """Which rows of the table the micro-batch `inputs` was made of."""
    places = [] if not inputs or ROWS not in inputs else inputs[ROWS].flatten().tolist()
    lengths = lengths_of(table)
    places = sorted((place for place in places if place >= 0), key=lambda place: -lengths[place])
    longest = lengths[places[0]] if places else 0
    return Broke(longest=longest, rows=tuple(dict.fromkeys(ids_of(table, places))))
