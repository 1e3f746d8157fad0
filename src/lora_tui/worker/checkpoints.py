"""Checkpoints that can be trusted: one counts only after its marker was written behind everything else."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from lora_tui.workspace import atomic

FOLDER = "checkpoints"
MARKER = "COMPLETE"
_NEEDED = ("optimizer.pt", "scheduler.pt", "trainer_state.json", "adapter_model.safetensors")


class Mark(msgspec.Struct, frozen=True):
    """What the marker says: the optimizer step, and the loss-carrying tokens trained on until then."""

    step: int
    tokens: int


class Point(msgspec.Struct, frozen=True):
    """A complete checkpoint."""

    path: Path
    mark: Mark


def mark_complete(path: Path, mark: Mark) -> None:
    """Sync every file of the checkpoint, then say that it is complete."""
    for file in path.iterdir():
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    atomic.write_bytes(path / MARKER, msgspec.json.encode(mark))


def newest(folder: Path) -> Point | None:
    """The newest complete checkpoint of a run folder; None when there is none.

    One without optimizer state is not complete: Trainer would go on with a fresh optimizer and say nothing.
    """
    found: list[Point] = []
    for path in (folder / FOLDER).glob("checkpoint-*"):
        if not re.fullmatch(r"checkpoint-\d+", path.name) or not all((path / name).is_file() for name in _NEEDED):
            continue
        try:
            found.append(Point(path=path, mark=msgspec.json.decode((path / MARKER).read_bytes(), type=Mark)))
        except (OSError, msgspec.DecodeError):
            continue
    return max(found, key=lambda point: point.mark.step, default=None)
