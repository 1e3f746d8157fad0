"""Blocks made by ggml itself: its `ggml_quantize_chunk`, called in the library inside the wheel `xllamacpp`.

`gguf` can read K-quants and not make them. Which tensor gets which type is llama.cpp's mixture (src/llama-quant.cpp,
llama_tensor_get_type), for dense models without an importance matrix.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_tui.adapters.tensor_files import Array

DEFAULTS = {"Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K", "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K", "Q6_K": "Q6_K"}
_NARROW = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}  # for rows that blocks of 256 do not fill
_LAYER = re.compile(r"blk\.(\d+)\.(attn_v|ffn_down)\.weight")
_LAYERS_OF_70B = 80  # eight heads share their values: a little more for them


def available() -> bool:
    """Whether the library is here and has the function."""
    return _ggml() is not None


def tensor_type(kind: str, name: str, layers: int, tied: bool) -> str:
    """The type that a matrix `name` (gguf's) gets in a file of the type `kind`, of DEFAULTS."""
    if name == "output.weight" or (tied and name == "token_embd.weight"):
        return "Q6_K"
    match = _LAYER.fullmatch(name)
    if match is None:
        return DEFAULTS[kind]
    layer, which = int(match[1]), match[2]
    if kind in ("Q4_K_M", "Q5_K_M") and _gets_more(layer, layers):
        return "Q6_K"
    if kind == "Q4_K_S" and layer < (4 if which == "attn_v" else layers // 8):
        return "Q5_K"
    if which == "attn_v" and layers == _LAYERS_OF_70B and DEFAULTS[kind] == "Q4_K":
        return "Q5_K"
    return DEFAULTS[kind]


def fitting(kind: str, columns: int, block: int) -> str:
    """The type itself, or a narrower one for rows that its blocks do not fill."""
    return kind if columns % block == 0 else _NARROW.get(kind, kind)


def quantize(rows: Array, kind: int) -> NDArray[np.uint8]:
    """Rows (n × k, k of whole blocks) as blocks of a GGML type: n × bytes of a row."""
    ggml = _ggml()
    assert ggml is not None
    given = np.ascontiguousarray(rows, np.float32)
    size = ggml.ggml_row_size(kind, given.shape[1])
    made = np.empty((given.shape[0], size), np.uint8)
    ggml.ggml_quantize_chunk(
        kind, given.ctypes.data_as(ctypes.c_void_p), made.ctypes.data_as(ctypes.c_void_p), 0, *given.shape, None
    )
    return made


@cache
def _ggml() -> Any:
    found = importlib.util.find_spec("xllamacpp")
    if found is None or found.origin is None:
        return None
    path = next(iter(sorted(Path(found.origin).parent.glob("xllamacpp*.so"))), None)
    if path is None:
        return None
    try:
        library = ctypes.CDLL(str(path))
        library.ggml_quantize_chunk.restype = ctypes.c_size_t
        library.ggml_quantize_chunk.argtypes = [
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_void_p,
            *(ctypes.c_int64,) * 3,
            ctypes.c_void_p,
        ]
        library.ggml_row_size.restype = ctypes.c_size_t
        library.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
    except (OSError, AttributeError):  # another build that hides them
        return None
    return library


def _gets_more(layer: int, layers: int) -> bool:
    """The first and last eighth of the layers, and every third between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
