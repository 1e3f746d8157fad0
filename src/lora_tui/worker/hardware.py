"""The machine beside the training: a thread that looks every two seconds and journals what it sees."""

from __future__ import annotations

import threading
from typing import Any

import psutil

from lora_tui.jobs import journal

EVERY_SECONDS = 2.0


class HardwareWatch:
    """Journals `hardware` events until closed. A machine without an NVIDIA driver has no GPUs, silently."""

    def __init__(self, log: journal.Journal) -> None:
        self._log = log
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="hardware", daemon=True)

    def __enter__(self) -> HardwareWatch:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._end.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        me = psutil.Process()
        psutil.cpu_percent()  # the first reading is meaningless
        gpus = _gpu_handles()
        while not self._end.wait(EVERY_SECONDS):
            memory = psutil.virtual_memory()
            self._log.write(
                journal.Hardware(
                    cpu=psutil.cpu_percent(),
                    ram_used=memory.total - memory.available,
                    ram_total=memory.total,
                    process_rss=me.memory_info().rss,
                    gpus=tuple(_gpu(handle) for handle in gpus),
                )
            )


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
