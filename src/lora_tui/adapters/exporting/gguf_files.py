"""Writing GGUF: a model (with an adapter merged into it on the way) or an adapter, some rows in memory at a time.

Measured against it: llama.cpp's own convert_hf_to_gguf.py and convert_lora_to_gguf.py are in no package, need torch and
refuse tokenizers they have no name for. For Qwen2 the tensors written here are bit-identical to theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from lora_tui.adapters.exporting import k_quants
from lora_tui.adapters.exporting.base import Base
from lora_tui.adapters.exporting.deltas import Weights, blocks, fitting
from lora_tui.adapters.exporting.gguf_library import BLOCKS, FLOATS, library
from lora_tui.adapters.exporting.gguf_shape import Shape, add_shape, shape
from lora_tui.adapters.exporting.gguf_tokenizer import add_tokenizer
from lora_tui.adapters.peft_folder import Module, PeftFolder
from lora_tui.adapters.tensor_files import Array
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput

Advance = Callable[[int, int], None]  # bytes written, of so many; may raise to stop
KINDS = (*FLOATS, *BLOCKS)


class Piece(msgspec.Struct, frozen=True):
    """One tensor of the file to be."""

    name: str  # gguf's
    source: str  # the base's tensor, or the adapter's module and side
    shape: tuple[int, ...]
    kind: int  # GGMLQuantizationType
    bytes: int


def write_model(
    path: Path, base: Base, adapter: PeftFolder | None, kind: str, *, name: str = "", advance: Advance | None = None
) -> int:
    """Write a base with an adapter merged into it (or none) as a GGUF of the type `kind`; returns its tensors' bytes.

    W + scale · B · A is computed in float32 and rounded once. Raises BadInput for what cannot be converted,
    LoraTuiError when the disk is full; `path` is there only when it is whole.
    """
    gguf = library()
    found = shape(base)
    weights = Weights(base, adapter)
    pieces = model_pieces(base, kind)
    writer = gguf.GGUFWriter(None, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH[found.architecture]])
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name or base.folder.name)
    add_shape(writer, found)
    writer.add_file_type(int(_file_type(gguf, kind)))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_tokenizer(writer, base.folder, base.config, gguf)

    def values(piece: Piece) -> Iterator[NDArray[Any]]:
        order = _interleaved(piece.shape[0], found.rotary_heads(piece.source))
        for part in blocks(piece.shape):
            rows = weights.rows(piece.source, part if order is None else order[part])
            yield _packed(gguf, rows, gguf.GGMLQuantizationType(piece.kind))

    return _write(path, writer, gguf, pieces, values, advance)


def write_adapter(
    path: Path, base: Base, adapter: PeftFolder, *, name: str = "", advance: Advance | None = None
) -> int:
    """Write an adapter as a GGUF that llama.cpp lays over the base's GGUF; returns its tensors' bytes.

    llama.cpp multiplies by alpha / rank itself: what a module's scale differs from that is put into its B.
    Raises as `write_model`.
    """
    gguf = library()
    found = shape(base)
    modules = fitting(base, adapter)
    alpha = float(adapter.config.get("lora_alpha") or 8)
    writer = gguf.GGUFWriter(None, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH[found.architecture]])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(name or adapter.name)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    pieces, of = [], {}
    for tensor, module in sorted(modules.items()):
        gguf_name = _name(gguf, found, tensor)
        for side, sizes in (("a", (module.r, module.columns)), ("b", (module.rows, module.r))):
            piece = Piece(f"{gguf_name}.lora_{side}", tensor, sizes, 0, 4 * math.prod(sizes))
            pieces.append(piece)
            of[piece.name] = (module, side)

    def values(piece: Piece) -> Iterator[NDArray[Any]]:
        module, side = of[piece.name]
        yield _factor(adapter, module, side, alpha, found.rotary_heads(piece.source))

    return _write(path, writer, gguf, pieces, values, advance)


def model_pieces(base: Base, kind: str) -> list[Piece]:
    """The tensors a model's GGUF of the type `kind` will have, in order. Raises BadInput."""
    gguf = library()
    if not is_written_here(kind):
        raise BadInput(f"{kind!r} is no type written here", fix=f"Choose one of {', '.join(KINDS)}.")
    found = shape(base)
    pieces = []
    for tensor, info in base.tensors.items():
        if tensor == "lm_head.weight" and base.tied:
            continue
        name = _name(gguf, found, tensor)
        stored = gguf.GGMLQuantizationType.F32
        if len(info.shape) == 2:
            stored = _stored(gguf, info.shape[1], _wanted(kind, name, found.layers, base.tied))
        block, width = gguf.GGML_QUANT_SIZES[stored]
        pieces.append(Piece(name, tensor, info.shape, int(stored), math.prod(info.shape) // block * width))
    return pieces


def _packed(gguf: Any, rows: Array, stored: Any) -> NDArray[Any]:
    """Rows in a type; blocks by ggml where it is here, which gives the same bytes as `gguf` in a third of the time."""
    if stored.name.lower() not in FLOATS and k_quants.available():
        return k_quants.quantize(rows, stored)
    return np.asarray(gguf.quants.quantize(rows, stored))


def is_written_here(kind: str) -> bool:
    """Whether a type can be written without another program."""
    return kind in KINDS or (kind in k_quants.DEFAULTS and k_quants.available())


def _wanted(kind: str, name: str, layers: int, tied: bool) -> str:
    return kind.upper() if kind in KINDS else k_quants.tensor_type(kind, name, layers, tied)


def _stored(gguf: Any, columns: int, wanted: str) -> Any:
    """The type of a matrix (vectors stay in float32): a row that its blocks do not fill becomes float16 at last."""
    types, sizes = gguf.GGMLQuantizationType, gguf.GGML_QUANT_SIZES
    found = types[k_quants.fitting(wanted, columns, sizes[types[wanted]][0])]
    return found if columns % sizes[found][0] == 0 else types.F16


def _name(gguf: Any, found: Shape, tensor: str) -> str:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[found.architecture], found.layers)
    name = names.get_name(tensor, try_suffixes=(".weight", ".bias"))
    if name is None:
        raise BadInput(f"this model cannot be converted to GGUF here: {found.architecture} has no {tensor}")
    return str(name)


def _interleaved(rows: int, heads: int) -> NDArray[np.intp] | None:
    """The order of a rotary projection's rows in llama.cpp, whose pairs lie side by side; None: as they are."""
    if not heads:
        return None
    return np.arange(rows).reshape(heads, 2, rows // heads // 2).swapaxes(1, 2).reshape(rows)


def _factor(adapter: PeftFolder, module: Module, side: str, alpha: float, heads: int) -> NDArray[Any]:
    a, b = adapter.factors(module.name)
    if side == "a":
        return a
    order = _interleaved(module.rows, heads)
    scaled = b * np.float32(module.scale * module.r / alpha) if module.r and alpha else b
    return scaled if order is None else scaled[order]


def _write(
    path: Path,
    writer: Any,
    gguf: Any,
    pieces: list[Piece],
    values: Callable[[Piece], Iterator[NDArray[Any]]],
    advance: Advance | None,
) -> int:
    """Header, metadata, the list of tensors, then each tensor's rows as they come."""
    for piece in pieces:
        writer.add_tensor_info(
            piece.name, piece.shape, np.dtype(np.float32), piece.bytes, gguf.GGMLQuantizationType(piece.kind)
        )
    total, done = sum(piece.bytes for piece in pieces), 0
    with atomic.writing(path) as file:
        writer.fout, writer.state = [file], gguf.gguf_writer.WriterState.EMPTY  # ours, which replaces `path` at the end
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for piece in pieces:
            _pad(file, writer.data_alignment)
            begin = done
            for part in values(piece):
                file.write(np.ascontiguousarray(part).data.cast("B") if part.size else b"")
                done += part.nbytes
                if advance is not None:
                    advance(done, total)
            if done - begin != piece.bytes:
                raise ValueError(f"{piece.name} is {done - begin} bytes, not {piece.bytes}")
        _pad(file, writer.data_alignment)
    return total


def _pad(file: BinaryIO, alignment: int) -> None:
    file.write(b"\0" * (-file.tell() % alignment))


def _file_type(gguf: Any, kind: str) -> Any:
    return gguf.LlamaFileType["ALL_F32" if kind == "f32" else f"MOSTLY_{kind.upper()}"]
