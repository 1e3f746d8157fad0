"""What this machine has: memory, GPUs, disk. Asked only when somebody looks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import psutil

from lora_tui.jobs.journal import Gpu


class Machine(msgspec.Struct, frozen=True):
    """Bytes and cores of this machine, now."""

    cores: int
    ram_total: int
    ram_available: int
    disk_free: int
    gpus: tuple[Gpu, ...]


def machine(folder: Path) -> Machine:
    """This machine as it is now; `disk_free` is of the disk that holds `folder`."""
    memory = psutil.virtual_memory()
    while not folder.exists():
        folder = folder.parent
    return Machine(
        cores=os.cpu_count() or 1,
        ram_total=memory.total,
        ram_available=memory.available,
        disk_free=shutil.disk_usage(folder).free,
        gpus=gpus(),
    )


def gpus() -> tuple[Gpu, ...]:
    """Every NVIDIA GPU the driver shows; none without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_gpu(pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _gpu(handle: object) -> Gpu:
    import pynvml

    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    name = pynvml.nvmlDeviceGetName(handle)
    return Gpu(
        name=name.decode() if isinstance(name, bytes) else name,
        memory_used=int(memory.used),
        memory_total=int(memory.total),
    )
