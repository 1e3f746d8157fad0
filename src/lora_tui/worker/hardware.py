"""The machine beside the training: a thread that looks every two seconds and journals what it sees."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import psutil

from lora_tui.jobs import journal

EVERY_SECONDS = 2.0
_VISIBLE = "CUDA_VISIBLE_DEVICES"


class HardwareWatch:
    """Journals `hardware` events until closed, from the first process alone.

    A machine without an NVIDIA driver has no GPUs, silently. One look costs about a millisecond of a core.
    """

    def __init__(self, log: journal.Journal, *, watching: bool = True) -> None:
        self._log = log
        self._watching = watching
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="hardware", daemon=True)

    def __enter__(self) -> HardwareWatch:
        if self._watching:
            self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._end.set()
        if self._watching:
            self._thread.join(timeout=5)

    def _watch(self) -> None:
        look = Look(self._log.path.parent)
        while not self._end.wait(EVERY_SECONDS):
            self._log.write(look())


class Look:
    """What the machine does now, as a `hardware` event; percentages are of the time since the last look."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._me = psutil.Process()
        self._gpus = _gpu_handles()
        psutil.cpu_percent(percpu=True)  # the first reading is meaningless

    def __call__(self) -> journal.Hardware:
        """Look."""
        memory = psutil.virtual_memory()
        cores = psutil.cpu_percent(percpu=True)
        return journal.Hardware(
            cpu=round(sum(cores) / len(cores), 1) if cores else 0.0,
            ram_used=memory.total - memory.available,
            ram_total=memory.total,
            process_rss=self._me.memory_info().rss,
            gpus=tuple(_gpu(handle) for handle in self._gpus),
            cores=tuple(cores),
            disk_free=_free(self._folder),
        )


def one_gpu() -> None:
    """Let a single process see one GPU, the roomiest: of several, Trainer would spread a batch, which TRL refuses.

    Must be called before torch looks for GPUs. What a person set in CUDA_VISIBLE_DEVICES counts: of a list, the first.
    """
    named = os.environ.get(_VISIBLE)
    if named is not None:
        os.environ[_VISIBLE] = named.split(",")[0]
        return
    handles = _gpu_handles()
    if len(handles) > 1:
        import pynvml

        roomiest = max(handles, key=lambda handle: int(pynvml.nvmlDeviceGetMemoryInfo(handle).free))
        name = pynvml.nvmlDeviceGetUUID(roomiest)
        os.environ[_VISIBLE] = name if isinstance(name, str) else name.decode()


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _gpu_handles() -> list[Any]:
    try:
        import pynvml

        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # no library, no driver, no GPU: NVML has one error class per cause
        return []


def _gpu(handle: Any) -> journal.Gpu:
    import pynvml

    def reading(read: Any) -> float:
        try:
            return float(read())
        except pynvml.NVMLError:
            return 0.0  # not every card reports everything

    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    name = pynvml.nvmlDeviceGetName(handle)
    return journal.Gpu(
        name=name if isinstance(name, str) else name.decode(),
        memory_used=int(memory.used),
        memory_total=int(memory.total),
        utilization=reading(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        temperature=reading(lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
        power=reading(lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000),
    )
