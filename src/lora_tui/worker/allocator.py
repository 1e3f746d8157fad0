"""What the libraries hold beside tensors: the C library's allocator and oneDNN, told to hold less.

By default glibc raises the size from which it asks the system for memory of its own with every such block that is
freed, up to 32 MiB. Activations of a few megabytes then come from one heap that only ever grows and is full of holes:
a step of a base of 87 million weights with checkpointing held 3.0 GiB where 2.1 are in use.

oneDNN, which multiplies bf16, writes a program for every shape and keeps 1,024 of them, tens of megabytes for every
ten lengths of rows. A step needs few, over and over; the next one has another length.
"""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h; the latter also ends the raising
_OWN_BYTES = 1 << 20
_NARROW, _NARROW_BYTES = 256, 4 << 20  # below this width a product takes less time than fresh pages of a megabyte
_TRIM_BYTES = 64 << 20  # free at the heap's end: by default more than 128 KiB go back, to be asked for again at once
_SETTINGS = {
    "THP_MEM_ALLOC_ENABLE": "1",  # torch asks for huge pages, which makes up for the fresh pages' cost
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
}


def prepare() -> None:
    """Settings that torch and oneDNN read once, before the first tensor; what the environment says stays."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def give_back_freed(width: int) -> None:
    """From now on a large block is a mapping of its own, for a base of this hidden size; nothing without glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _OWN_BYTES if width >= _NARROW else _NARROW_BYTES)
