"""Whether an adapter's factors fit the weights of the base it is for, where that base is on this machine.

The shapes stand in the headers of the base's safetensors files; without these, in config.json, of the families whose
layers are known. What neither tells (a quantised base, another format) is not judged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

from lora_tui.adapters import base_facts
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.adapters.tensor_files import TensorFile
from lora_tui.backends.shape import FUSED, of_config
from lora_tui.workspace.errors import BadInput

_PLAIN = ("F32", "F16", "BF16")  # of a quantised tensor the shape says something else
_LAYER = re.compile(r"(?:model\.)?layers\.(?P<number>\d+)\.(?:self_attn|mlp)\.(?P<name>\w+)")


def misfits(base: str, adapter: PeftFolder, revision: str = "") -> list[str]:
    """Modules whose factors are not of the base's shapes, each in a sentence; empty: none, or nothing is known."""
    folder = base_facts.folder_of(base, revision)
    if folder is None:
        return []
    shapes = {name: (module.rows, module.columns) for name, module in adapter.modules.items()}
    known = _of_weights(folder, shapes, turned=bool(adapter.config.get("fan_in_fan_out"))) or _of_config(folder, shapes)
    return [
        f"{name} is of {shape[0]} × {shape[1]}, and {_told(known[name])}"
        for name, shape in shapes.items()
        if known.get(name, shape) != shape
    ]


def _told(shape: tuple[int, ...]) -> str:
    return f"that of the base is of {shape[0]} × {shape[1]}" if shape else "the base has no such layer"


def _of_weights(folder: Path, modules: Collection[str], *, turned: bool) -> dict[str, tuple[int, ...]]:
    """{module: (rows, columns)} out of the headers of the weights; turned: they lie there as columns × rows."""
    found: dict[str, tuple[int, ...]] = {}
    for path in folder.glob("*.safetensors"):
        try:
            with TensorFile(path) as file:
                for key, info in file.tensors.items():
                    name = key.removesuffix(".weight")
                    if name in modules and info.dtype in _PLAIN and len(info.shape) == 2:
                        found[name] = info.shape[::-1] if turned else info.shape
        except BadInput:  # of a type that is not read here, or still coming down
            continue
    return found


def _of_config(folder: Path, modules: Collection[str]) -> dict[str, tuple[int, ...]]:
    """The same by config.json; empty of a layer that the base does not have."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        if config["model_type"] not in FUSED:
            return {}
        shape = of_config(config)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    sizes = {item.name: (item.outputs, item.inputs) for item in shape.linears}
    found: dict[str, tuple[int, ...]] = {}
    for name in modules:
        layer = _LAYER.fullmatch(name)
        if layer is not None and layer["name"] in sizes:
            found[name] = sizes[layer["name"]] if int(layer["number"]) < shape.layers else ()
    return found
