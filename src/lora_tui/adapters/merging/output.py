"""What a merge writes: an adapter in PEFT layout with every scale folded into its factors, so that its own scale is 1.

Hosts that read one global alpha / r and hosts that read patterns then agree: lora_alpha = r, and where ranks differ
rank_pattern = alpha_pattern.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.adapters.merging.coefficients import weights_of
from lora_tui.adapters.merging.sources import Shape, Sources, in_order
from lora_tui.adapters.peft_folder import CONFIG, PREFIX, PeftFolder
from lora_tui.jobs.merging import Recipe
from lora_tui.workspace import atomic

BYTES = {"F32": 4, "BF16": 2, "F16": 2}


def ranks(sources: Sources, recipe: Recipe) -> dict[str, int]:
    """The rank of each module of the result, known before anything is computed; without those of which nothing is."""
    wanted = recipe.rank or sources.rank
    weights = weights_of(recipe, len(sources.folders))
    found = {}
    for shape in sources.modules:
        stacked = sum(rank for rank, weight in zip(shape.ranks, weights, strict=True) if weight)
        if recipe.strategy == "cat":
            found[shape.name] = stacked
        elif recipe.space == "delta":
            found[shape.name] = min(wanted, shape.rows, shape.columns)
        else:
            found[shape.name] = min(wanted, stacked, shape.rows, shape.columns)
    return {name: rank for name, rank in found.items() if rank}


def dtype(sources: Sources, recipe: Recipe) -> str:
    """The type that is stored: the one asked for, else the adapters' where they have the same, else F32."""
    found = {folder.dtype for folder in sources.folders}
    return recipe.dtype or (found.pop() if len(found) == 1 and found <= BYTES.keys() else "F32")


def tensors(shapes: tuple[Shape, ...], of: Mapping[str, int], stored: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name, type and shape of every tensor of the file."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for shape in shapes:
        if rank := of.get(shape.name):
            found[key(shape.name, "A")] = (stored, (rank, shape.columns))
            found[key(shape.name, "B")] = (stored, (shape.rows, rank))
    return found


def key(module: str, side: str) -> str:
    """A tensor's name."""
    return f"{PREFIX}{module}.lora_{side}.weight"


def file_bytes(shapes: tuple[Shape, ...], of: Mapping[str, int], stored: str) -> int:
    """About how large the file will be, without its header."""
    return sum(of.get(shape.name, 0) * (shape.rows + shape.columns) for shape in shapes) * BYTES[stored]


def write_config(folder: Path, sources: Sources, of: Mapping[str, int]) -> None:
    """adapter_config.json of the result."""
    r = max(of.values())
    uneven = {name: rank for name, rank in of.items() if rank != r}
    config = {
        "base_model_name_or_path": next((item.base for item in sources.folders if item.base), None),
        "revision": next((item.revision for item in sources.folders if item.revision), None),
        "peft_type": "LORA",
        "task_type": next((kind for item in sources.folders if (kind := item.config.get("task_type"))), "CAUSAL_LM"),
        "r": r,
        "lora_alpha": r,
        "rank_pattern": uneven,
        "alpha_pattern": uneven,
        "target_modules": target_modules(sources.folders, of),
        "use_rslora": False,
        "use_dora": False,
        "bias": "none",
        "lora_bias": False,
        "lora_dropout": 0.0,
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "modules_to_save": None,
        "layers_to_transform": None,
        "layers_pattern": None,
    }
    atomic.write_bytes(folder / CONFIG, msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n")


def target_modules(folders: tuple[PeftFolder, ...], of: Mapping[str, int]) -> list[str]:
    """Last names ("q_proj") where the adapters have them in every layer, else full names: a last name claims all."""
    everywhere: set[str] = set()
    for folder in folders:
        everywhere |= _everywhere(folder, of)
    last = {name.rsplit(".", 1)[-1] for name in of}
    return sorted(last) if last <= everywhere else sorted(of, key=in_order)


def _everywhere(folder: PeftFolder, of: Mapping[str, int]) -> set[str]:
    """Last names that one adapter has wherever its base has them, as far as its config says so."""
    config: Mapping[str, Any] = folder.config
    if config.get("layers_to_transform") is not None or config.get("exclude_modules"):
        return set()
    targets = config.get("target_modules")
    last = {name.rsplit(".", 1)[-1] for name in folder.modules if name in of}
    if targets == "all-linear":
        return last
    return last & set(targets) if isinstance(targets, list) else set()
