"""What a whole checkpoint costs: `python benchmarks/checkpoints.py [MIB]` of adapter; the optimizer has twice that.

Side by side in one run: the same files written and left to the system (as Trainer does), written and synced, and
sealed (hashed, synced, renamed). CPU seconds of one process; the median of five.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lora_tui.worker import checkpoints

MIB = 1 << 20
PAIRS = 5


def write(folder: Path, blocks: list[bytes], mib: int) -> None:
    """The files of a checkpoint: adapter, optimizer (two moments), and the small ones."""
    folder.mkdir(parents=True)
    for name, size in (("adapter_model.safetensors", mib), ("optimizer.pt", 2 * mib)):
        with (folder / name).open("wb") as file:
            for number in range(size):
                file.write(blocks[number % len(blocks)])
    for name in ("scheduler.pt", "rng_state.pth", "trainer_state.json", "adapter_config.json"):
        (folder / name).write_bytes(b"{}" * 500)


def synced(folder: Path) -> None:
    """Every file on the disk."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def cost(do: Callable[..., object], *given: object) -> tuple[float, float]:
    """CPU and wall seconds."""
    cpu, wall = time.process_time(), time.monotonic()
    do(*given)
    return time.process_time() - cpu, time.monotonic() - wall


def main(mib: int) -> None:
    """Print one line per way."""
    blocks = [os.urandom(MIB) for _ in range(4)]
    taken: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for number in range(1, PAIRS + 1):
            plain = root / "plain"
            taken.setdefault("written, as Trainer does", []).append(cost(write, plain, blocks, mib))
            taken.setdefault("+ synced", []).append(cost(synced, plain))
            shutil.rmtree(plain)
            path = checkpoints.path_of(root, number)
            write(checkpoints.draft_of(path), blocks, mib)
            manifest = checkpoints.Manifest(step=number, tokens=0)
            taken.setdefault("sealed: hashed, synced, renamed", []).append(cost(checkpoints.seal, path, manifest))
            taken.setdefault("looked for and checked, at a resume", []).append(cost(checkpoints.newest, root))
            shutil.rmtree(path)
    gib = 3 * mib / 1024
    print(f"{gib:.2f} GiB a checkpoint, median of {PAIRS}")
    for name, figures in taken.items():
        cpu, wall = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"{name:<40} {cpu:7.3f} CPU s  {wall:7.3f} s  {cpu / gib:6.2f} CPU s per GiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
