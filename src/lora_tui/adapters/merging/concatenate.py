"""`cat`: the factors side by side, every rank kept. Nothing is lost, and the file grows with R."""

from __future__ import annotations

import numpy as np

from lora_tui.adapters.merging.coefficients import weights_of
from lora_tui.adapters.merging.sources import Shape, Sources, finite_factors
from lora_tui.adapters.tensor_files import Array
from lora_tui.jobs.merging import Recipe


def concatenated(sources: Sources, shape: Shape, recipe: Recipe) -> tuple[Array, Array]:
    """B (m × R) as it is and A (R × n) times weight and scale, of the adapters that have the module."""
    b = np.empty((shape.rows, sum(shape.ranks)), np.float32)
    a = np.empty((sum(shape.ranks), shape.columns), np.float32)
    at = 0
    for folder, weight in zip(sources.folders, weights_of(recipe, len(sources.folders)), strict=True):
        if (module := folder.modules.get(shape.name)) is not None:
            place = slice(at, at + module.r)
            a[place], b[:, place] = finite_factors(folder, shape.name)
            a[place] *= np.float32(weight * module.scale)
            at += module.r
    return b, a
