"""How many threads a program may use that is started here."""

from __future__ import annotations

import os


def threads() -> int:
    """$OMP_NUM_THREADS, else the cores this process may run on: more would wait for each other."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
