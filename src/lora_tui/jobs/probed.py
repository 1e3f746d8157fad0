"""What a real step of a run took: measured once on a machine for a base, a dataset and the settings that decide it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput


class Probed(msgspec.Struct, frozen=True):
    """The fullest step of a run, with an evaluation and a checkpoint after it."""

    peak: int  # bytes: of the process on a CPU, of the GPU else
    seconds: float  # of a step, after the first
    tokens_per_second: float  # that carry loss
    longest: int  # tokens of the longest row in it
    rows: int  # in a micro-batch
    device: str
    host: str
    time: float  # epoch seconds, when it was measured


def save(path: Path, probed: Probed) -> None:
    """Write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, msgspec.json.encode(probed))


def load(path: Path) -> Probed:
    """Read it. Raises BadInput."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Probed)
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(f"cannot read what was probed: {error}", where=str(path)) from error
