"""Adapters in PEFT's layout with random factors, written with the real safetensors library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

PREFIX = "base_model.model."


def factors(
    shapes: Mapping[str, tuple[int, int]], r: int, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> dict[str, torch.Tensor]:
    """A (r × n, about 1/√n) and B (m × r, about 1/√m) for {module: (m, n)} under PEFT's names."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for module, (m, n) in shapes.items():
        a = torch.randn(r, n, generator=generator) / n**0.5
        b = torch.randn(m, r, generator=generator) / m**0.5
        found[f"{PREFIX}{module}.lora_A.weight"] = a.to(dtype)
        found[f"{PREFIX}{module}.lora_B.weight"] = b.to(dtype)
    return found


def write_adapter(
    folder: Path, tensors: Mapping[str, torch.Tensor], *, r: int = 8, lora_alpha: float = 16, **config: Any
) -> Path:
    """An adapter folder with these tensors; `config` adds to adapter_config.json or overrides it."""
    folder.mkdir(parents=True)
    modules = {key.removeprefix(PREFIX).rsplit(".lora_", 1)[0] for key in tensors if ".lora_A." in key}
    written = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "lab/base",
        "r": r,
        "lora_alpha": lora_alpha,
        "target_modules": sorted({module.rsplit(".", 1)[-1] for module in modules}),
        "bias": "none",
        **config,
    }
    (folder / "adapter_config.json").write_text(json.dumps(written))
    save_file(dict(tensors), folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


def delta(folder: Path, module: str, scale: float) -> torch.Tensor:
    """ΔW of a module in float64."""
    from safetensors.torch import load_file

    found = load_file(folder / "adapter_model.safetensors")
    a = found[f"{PREFIX}{module}.lora_A.weight"].double()
    b = found[f"{PREFIX}{module}.lora_B.weight"].double()
    return scale * b @ a
