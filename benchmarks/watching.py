"""What watching the machine costs a run: CPU seconds of one look, and their share of the time between two looks.

python benchmarks/watching.py
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from lora_tui.worker.hardware import EVERY_SECONDS, Look

LOOKS = 200


def main() -> None:
    """Print one line."""
    look = Look(Path("/"))
    taken = []
    for _ in range(LOOKS):
        before = time.thread_time()
        seen = look()
        taken.append(time.thread_time() - before)
    median = statistics.median(taken)
    print(
        f"one look at {len(seen.cores)} cores, {len(seen.gpus)} GPUs, memory and disk: {median * 1e3:.2f} ms of CPU, "
        f"every {EVERY_SECONDS:g} s: {median / EVERY_SECONDS:.3%} of one core"
    )


if __name__ == "__main__":
    main()
