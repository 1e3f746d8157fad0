"""TIES and DARE in core space: on R × R matrices in bases that the adapters share, at the cost of a linear merge.

ΔWᵢ = Q_b·Mᵢ·Q_aᵀ exactly, with Q_b and Q_a the left singular vectors of [B₁ … B_N] and [A₁; …; A_N]ᵀ. What the rules do
depends on the basis, so it is not TIES on ΔW and is always called "ties (core)". "Model merging in core space",
NeurIPS 2025.
"""

from __future__ import annotations

import numpy as np

from lora_tui.adapters.merging import rules
from lora_tui.adapters.merging.coefficients import density_of, weights_of
from lora_tui.adapters.merging.factored import Basis
from lora_tui.adapters.merging.stacked import Grams, Matrix
from lora_tui.jobs.merging import Recipe


def cores(grams: Grams, b: Basis, a: Basis) -> list[Matrix | None]:
    """Each adapter's ΔW in the two bases (p × q); None of one that lacks the module."""
    return [
        (b.coordinates[:, place] * scale) @ a.coordinates[:, place].T if place.stop > place.start else None
        for place, scale in zip(grams.places, grams.scales, strict=True)
    ]


def merged_core(grams: Grams, b: Basis, a: Basis, recipe: Recipe, identities: tuple[str, ...]) -> Matrix:
    """The cores merged by TIES or DARE (p × q)."""
    weights = weights_of(recipe, len(identities))
    density = density_of(recipe)
    shape = (b.coordinates.shape[0], a.coordinates.shape[0])
    election = rules.Election(shape, np.float64)
    total = np.zeros(shape)
    for core, weight, identity in zip(cores(grams, b, a), weights, identities, strict=True):
        if core is None or not core.size:
            continue
        if recipe.strategy == "ties":
            least = rules.threshold(np.abs(core), rules.kept_entries(core.size, density))
            election.vote(rules.trim(core, least), weight)
        else:
            random = rules.generator(recipe.seed, grams.shape.name, identity)
            total += weight * rules.drop(core, density, random)
    found: Matrix = election.result() if recipe.strategy == "ties" else total
    return found * recipe.scaling
