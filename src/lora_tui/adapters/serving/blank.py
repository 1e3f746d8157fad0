"""An adapter that changes nothing.

vLLM on a CPU takes the last slot's adapter for a request without one (vLLM #48421), and an unloaded adapter keeps its
slot: there, requests for the base are sent to this one, whose lora_B is zero.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from lora_tui.adapters.peft_folder import CONFIG, PREFIX, WEIGHTS, PeftFolder
from lora_tui.adapters.tensor_files import writing
from lora_tui.workspace import atomic

NAME = "lora-tui-blank"


def write(folder: Path, like: Path) -> None:
    """Make one in `folder` for the base of the adapter `like`: rank 1 on the first of its modules. Raises BadInput."""
    with PeftFolder(like) as adapter:
        module = next(iter(adapter.modules.values()))
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": adapter.base,
            "r": 1,
            "lora_alpha": 1,
            "lora_dropout": 0.0,
            "bias": "none",
            "target_modules": [module.name.rpartition(".")[2]],
        }
    shapes = {"A": (1, module.columns), "B": (module.rows, 1)}
    names = {f"{PREFIX}{module.name}.lora_{side}.weight": shape for side, shape in shapes.items()}
    with writing(folder / WEIGHTS, {name: ("F32", shape) for name, shape in names.items()}) as file:
        for name, shape in names.items():
            file.write(name, np.zeros(shape, np.float32))
    atomic.write_bytes(folder / CONFIG, msgspec.json.encode(config))
