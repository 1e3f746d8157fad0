"""An adapter laid over a base, some rows at a time: W + scale · B · A in float32, whatever W is stored in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from lora_tui.adapters.exporting.base import Base
from lora_tui.adapters.peft_folder import Module, PeftFolder
from lora_tui.adapters.tensor_files import Array, from_bfloat16
from lora_tui.workspace.errors import BadInput

_BLOCK = 1 << 24  # weights that are worked on at once: 64 MB in float32


class Weights:
    """The weights of a base with an adapter (or none) laid over them."""

    def __init__(self, base: Base, adapter: PeftFolder | None) -> None:
        """Check that they belong together. Raises BadInput."""
        self.base = base
        self.adapter = adapter
        self.tensors = base.tensors
        self._modules: Mapping[str, Module] = fitting(base, adapter) if adapter is not None else {}
        self._factors: tuple[str, Array, Array] | None = None

    def is_adapted(self, tensor: str) -> bool:
        """Whether the adapter changes it."""
        return tensor in self._modules

    def rows(self, tensor: str, rows: Any) -> Array:
        """Some rows of a tensor (an index or a slice of its first axis) in float32, with what the adapter adds."""
        stored = self.base.raw(tensor)[rows]
        values = from_bfloat16(stored) if self.tensors[tensor].dtype == "BF16" else stored.astype(np.float32)
        if tensor in self._modules:
            module = self._modules[tensor]
            a, b = self._of(module.name)
            values += np.float32(module.scale) * (b[rows] @ a)
        return values

    def _of(self, module: str) -> tuple[Array, Array]:
        """A and B of a module, kept until another is asked for."""
        if self._factors is None or self._factors[0] != module:
            assert self.adapter is not None
            self._factors = (module, *self.adapter.factors(module))
        return self._factors[1:]


def blocks(shape: tuple[int, ...]) -> list[slice]:
    """The rows of a tensor in pieces that fit into memory beside a copy or two."""
    rows = shape[0] if shape else 1
    step = max(1, _BLOCK // max(1, int(np.prod(shape[1:]))))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def fitting(base: Base, adapter: PeftFolder) -> dict[str, Module]:
    """{tensor of the base: the module that changes it}. Raises BadInput where they do not belong together."""
    refuse_more_than_lora(adapter)
    found = {}
    shapes = base.tensors
    for module in adapter.modules.values():
        tensor = f"{module.name}.weight"
        if re.search(r"(^|\.)(embed_tokens|wte)$", module.name):
            raise _refused(adapter, f"{module.name}: an adapted embedding is not supported")
        if tensor == "lm_head.weight" and base.tied:
            raise _refused(adapter, "lm_head is adapted, and this base has no head of its own: it is tied")
        if tensor not in shapes:
            raise BadInput(
                f"the base has no {module.name}, which the adapter changes",
                where=adapter.name,
                fix=f"It was made for {adapter.base or 'another base'}: name that one with --base.",
            )
        if shapes[tensor].shape != (module.rows, module.columns):
            rows, columns = (*shapes[tensor].shape, 1)[:2]
            raise BadInput(
                f"{module.name} is {module.rows} × {module.columns} in the adapter and {rows} × {columns} in the base",
                where=adapter.name,
                fix=f"It was made for {adapter.base or 'another base'}: name that one with --base.",
            )
        found[tensor] = module
    return found


def refuse_more_than_lora(adapter: PeftFolder) -> None:
    """Raises BadInput, naming the key, for an adapter that is more than W + scale · B · A."""
    if obstacles := adapter.obstacles():
        raise _refused(adapter, "; ".join(obstacles))
    if not adapter.modules:
        raise _refused(adapter, "it changes no module")


def _refused(adapter: PeftFolder, why: str) -> BadInput:
    return BadInput(f"this adapter cannot be exported: {why}", where=adapter.name, fix="Serve it with transformers.")
