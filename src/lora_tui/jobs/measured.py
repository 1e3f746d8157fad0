"""How large a base and its adapters are: counted once for a base and the settings that decide it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput


class Module(msgspec.Struct, frozen=True):
    """Adapters (or whole weights) of one kind of module: how many of it are trained, and their weights together."""

    name: str  # without the layer's number: "self_attn.q_proj"
    count: int
    parameters: int
    routed: bool = False  # experts of a mixture
    whole: bool = False  # the module's own weights are trained, not adapters on them


class Measured(msgspec.Struct, frozen=True):
    """Numbers of weights."""

    parameters: int  # of the base
    trainable: int  # of the adapters
    engine: int = 0  # bytes that the engine's libraries take on this machine before any weight
    modules: tuple[Module, ...] = ()  # what is trained, in the order of the base


def save(path: Path, measured: Measured) -> None:
    """Write it."""
    atomic.write_bytes(path, msgspec.json.encode(measured))


def load(path: Path) -> Measured:
    """Read it. Raises BadInput."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Measured)
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(f"cannot read what was measured: {error}", where=str(path)) from error
