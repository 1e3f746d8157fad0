"""Named tensors in a file that is there whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write them in safetensors' layout. Raises LoraTuiError where the disk cannot take them."""
    atomic.write_bytes(path, save({name: item.detach().cpu().contiguous() for name, item in tensors.items()}))


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read them. Raises BadInput when the file is damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise BadInput(f"cannot be read: {error}", where=str(path)) from error
