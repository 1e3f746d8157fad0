"""The most memory that a server's processes on this machine take, looked at while they answer."""

from __future__ import annotations

import threading

_EVERY = 0.5  # seconds


class Peaks:
    """Watches a process and its children in a thread of its own; `rss` and `vram` are the most that was seen, bytes."""

    def __init__(self, pid: int) -> None:
        self.rss = self.vram = 0
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peaks:
        if self._pid:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._pid:
            self._thread.join()

    def _watch(self) -> None:
        while True:
            self._look()
            if self._end.wait(_EVERY):
                self._look()
                return

    def _look(self) -> None:
        import psutil

        try:
            process = psutil.Process(self._pid)
            family = [process, *process.children(recursive=True)]
        except psutil.Error:
            return
        resident, pids = 0, set()
        for one in family:
            try:
                resident += one.memory_info().rss
                pids.add(one.pid)
            except psutil.Error:
                continue
        self.rss = max(self.rss, resident)
        self.vram = max(self.vram, _vram(pids))


def _vram(pids: set[int]) -> int:
    """Bytes of GPU memory these processes hold; 0 without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    try:
        used = 0
        for index in range(pynvml.nvmlDeviceGetCount()):
            for one in pynvml.nvmlDeviceGetComputeRunningProcesses(pynvml.nvmlDeviceGetHandleByIndex(index)):
                used += int(one.usedGpuMemory or 0) if one.pid in pids else 0
        return used
    except pynvml.NVMLError:
        return 0
    finally:
        pynvml.nvmlShutdown()
