"""How large a base and its adapters are: counted once for a base and the settings that decide it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput


class Measured(msgspec.Struct, frozen=True):
    """Numbers of weights."""

    parameters: int  # of the base
    trainable: int  # of the adapters


def save(path: Path, measured: Measured) -> None:
    """Write it."""
    atomic.write_bytes(path, msgspec.json.encode(measured))


def load(path: Path) -> Measured:
    """Read it. Raises BadInput."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Measured)
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(f"cannot read what was measured: {error}", where=str(path)) from error
