"""The most memory that this process held, as the operating system or the GPU counts it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch


def peak_bytes(device: str) -> int:
    """The most memory this process ever held: resident on a CPU; on a GPU what was reserved there, and the context."""
    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        outside = max(0, total - free - torch.cuda.memory_reserved())
        return int(torch.cuda.max_memory_reserved() + outside)
    return in_ram()


def in_ram() -> int:
    """The most RAM this process held, in bytes.

    Linux keeps in ru_maxrss what the parent held when it started the process; VmHWM begins anew (proc(5)).
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # no Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
