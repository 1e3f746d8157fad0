"""A base with an adapter merged into it, as a Hugging Face folder: shards, names and types as the base has them."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from lora_tui.adapters.exporting.base import CONFIG, INDEX, WEIGHTS, Base, read_json
from lora_tui.adapters.exporting.deltas import Weights, blocks
from lora_tui.adapters.exporting.gguf_shape import rope_theta
from lora_tui.adapters.exporting.gguf_tokenizer import chat_template
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.adapters.tensor_files import TensorInfo, to_bfloat16, writing
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput

Advance = Callable[[int, int], None]
DTYPES = {"f32": ("F32", "float32"), "f16": ("F16", "float16"), "bf16": ("BF16", "bfloat16")}
_FLOATS = ("F64", "F32", "F16", "BF16")
_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
_TEMPLATE = "chat_template.jinja"
_SETTINGS = "tokenizer_config.json"
_LARGEST_COPY = 256 << 20  # bytes of a file that is copied: no weights
_COPIED = (".json", ".txt", ".model", ".jinja", ".tiktoken")
_LEGAL = ("LICENSE", "LICENCE", "NOTICE", "USE_POLICY")


def merged_bytes(base: Base, dtype: str = "") -> int:
    """How much `write_merged` will write, in bytes. Raises BadInput for a type that is none."""
    return sum(math.prod(info.shape) * _width(_kept(info, dtype), info) for info in base.tensors.values())


def write_merged(
    folder: Path, base: Base, adapter: PeftFolder | None, *, dtype: str = "", advance: Advance | None = None
) -> None:
    """Fill the empty `folder` with a model: weights W + scale · B · A, config, tokenizer, generation config.

    Summed in float32, stored as `dtype` ("bf16", "f16", "f32") or as the base has each tensor. One tensor's rows are in
    memory at a time. `advance` gets bytes written and of how many, and may raise to stop. Raises BadInput when the
    adapter does not fit, LoraTuiError when the disk is full.
    """
    weights = Weights(base, adapter)
    total, done = merged_bytes(base, dtype), 0
    for shard, tensors in base.shards.items():
        kept = {name: (_kept(info, dtype), info.shape) for name, info in tensors.items()}
        with writing(folder / shard, kept) as file:
            for name, (kind, sizes) in kept.items():
                if not weights.is_adapted(name) and kind == tensors[name].dtype:
                    file.write(name, base.raw(name))
                else:
                    file.write(name, _whole(weights, name, sizes, kind))
                done += math.prod(sizes) * _width(kind, tensors[name])
                if advance is not None:
                    advance(done, total)
    if list(base.shards) != [WEIGHTS]:
        where = {name: shard for shard, tensors in base.shards.items() for name in tensors}
        _write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))})
    _copy_the_rest(base, folder)
    _write_json(folder / CONFIG, _config(base, dtype))
    _keep_template(base, folder)


def _whole(weights: Weights, name: str, sizes: tuple[int, ...], kind: str) -> Any:
    """A tensor with what the adapter adds, in its type, put together from pieces of its rows."""
    store = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}[kind]
    made = np.empty(sizes, store)
    for part in blocks(sizes):
        rows = weights.rows(name, part)
        made[part] = to_bfloat16(rows) if kind == "BF16" else rows
    return made


def _kept(info: TensorInfo, dtype: str) -> str:
    """The type a tensor gets; what is no float stays as it is."""
    if dtype and dtype not in DTYPES:
        raise BadInput(f"{dtype!r} is no type for weights", fix=f"Choose one of {', '.join(DTYPES)}.")
    if info.dtype not in _FLOATS:
        return info.dtype
    return DTYPES[dtype][0] if dtype else "F32" if info.dtype == "F64" else info.dtype


def _width(kind: str, info: TensorInfo) -> int:
    return _BYTES.get(kind) or info.bytes // max(1, math.prod(info.shape))


def _config(base: Base, dtype: str) -> dict[str, Any]:
    """config.json with `rope_theta` where other engines look for it too, and without what names another model."""
    config = dict(base.config)
    if theta := rope_theta(config):
        config["rope_theta"] = theta
    if dtype:
        key = "torch_dtype" if "torch_dtype" in config else "dtype"
        config[key] = DTYPES[dtype][1]
    config.pop("_name_or_path", None)
    return config


def _copy_the_rest(base: Base, folder: Path) -> None:
    """Tokenizer files, generation config, licence. Programs (*.py) are not taken along."""
    for file in _others(base):
        shutil.copyfile(file, folder / file.name)


def _others(base: Base) -> Iterator[Path]:
    shards = set(base.shards) | {INDEX, CONFIG, "README.md"}
    for file in sorted(base.folder.iterdir()):
        wanted = file.suffix in _COPIED or file.stem.upper() in _LEGAL
        if not file.is_file() or file.name in shards or file.name.startswith(".") or not wanted:
            continue
        if not file.name.endswith(".index.json") and file.stat().st_size <= _LARGEST_COPY:
            yield file


def _keep_template(base: Base, folder: Path) -> None:
    """The chat template as a file of its own and in tokenizer_config.json: each is where some engine looks alone."""
    path = folder / _SETTINGS
    settings = read_json(path) if path.is_file() else {}
    template = chat_template(base.folder, settings)
    if not template:
        return
    if not (folder / _TEMPLATE).is_file() and isinstance(settings.get("chat_template"), str):
        atomic.write_text(folder / _TEMPLATE, template)
    if not settings.get("chat_template"):
        _write_json(path, settings | {"chat_template": template})


def _write_json(path: Path, data: object) -> None:
    atomic.write_bytes(path, msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n")
