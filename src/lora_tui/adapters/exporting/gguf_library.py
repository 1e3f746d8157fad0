"""The `gguf` package, which an extra brings: metadata keys, tensor names, block quantisation."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from lora_tui.workspace.errors import BadInput

FLOATS = ("f32", "f16", "bf16")
BLOCKS = ("q8_0", "q4_0", "q4_1", "q5_0", "q5_1")  # what gguf can quantise to


def library() -> Any:
    """The package. Raises BadInput with the extra's name where it is not installed."""
    try:
        import gguf
    except ModuleNotFoundError as error:
        raise BadInput("gguf is not installed", fix="Install it: pip install 'lora-tui[gguf]'") from error
    assert isinstance(gguf, ModuleType)
    return gguf
