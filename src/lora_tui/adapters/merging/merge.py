"""The merge itself: one module after another from the adapters' files into the result's, none kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from lora_tui.adapters import tensor_files
from lora_tui.adapters.merging import output, rules
from lora_tui.adapters.merging.coefficients import LINEAR, check, coefficients
from lora_tui.adapters.merging.concatenate import concatenated
from lora_tui.adapters.merging.core import merged_core
from lora_tui.adapters.merging.dense import Buffer, merged_delta
from lora_tui.adapters.merging.factored import Basis, basis, linear_core, singular_basis, truncate
from lora_tui.adapters.merging.low_rank import low_rank
from lora_tui.adapters.merging.rules import Values
from lora_tui.adapters.merging.sources import Shape, Sources, active
from lora_tui.adapters.merging.stacked import Grams, Matrix, Stacked
from lora_tui.adapters.peft_folder import WEIGHTS
from lora_tui.jobs.merging import Recipe
from lora_tui.workspace.errors import BadInput

_LARGEST_F16 = 65504.0
_LARGEST_F32 = 3.4e38

Advance = Callable[[int, int], None]  # (modules done, of all)


class ModuleResult(msgspec.Struct, frozen=True):
    """One module of the result: its rank, ‖merged ΔW‖ before truncation, and the share of it that was lost.

    The norm is 0 where it was not needed: cat loses nothing.
    """

    name: str
    rank: int
    norm: float
    error: float


class Result(msgspec.Struct, frozen=True):
    """A finished merge. `error`: the share lost of the norm over all modules, √(Σ e²‖ΔW‖² / Σ ‖ΔW‖²)."""

    modules: tuple[ModuleResult, ...]
    error: float
    r: int
    dtype: str
    parameters: int


def merge(sources: Sources, recipe: Recipe, folder: Path, advance: Advance) -> Result:
    """Write the merged adapter into `folder`. `advance` is called before each module and may raise to end it.

    Raises BadInput where the recipe does not fit, or a factor holds no finite number.
    """
    check(recipe, len(sources.folders))
    sources, recipe = active(sources, recipe)
    of, stored = output.ranks(sources, recipe), output.dtype(sources, recipe)
    shapes = tuple(shape for shape in sources.modules if shape.name in of)
    tensors = output.tensors(shapes, of, stored)
    buffer = Buffer(shapes) if recipe.space == "delta" else None
    found = []
    with tensor_files.writing(folder / WEIGHTS, tensors) as writer:
        for done, shape in enumerate(shapes):
            advance(done, len(shapes))
            b, a, result = merged_module(sources, shape, recipe, of[shape.name], buffer)
            _check_range(a, b, stored, shape)
            writer.write(output.key(shape.name, "A"), a)
            writer.write(output.key(shape.name, "B"), b)
            found.append(result)
            for adapter in sources.folders:
                adapter.release()
    advance(len(shapes), len(shapes))
    output.write_config(folder, sources, of)
    return Result(
        tuple(found),
        total_error(found),
        max(of.values()),
        stored,
        sum(of[shape.name] * (shape.rows + shape.columns) for shape in shapes),
    )


def total_error(modules: list[ModuleResult]) -> float:
    """The share that all modules together lost of their norm."""
    whole = sum(item.norm**2 for item in modules)
    return math.sqrt(sum((item.error * item.norm) ** 2 for item in modules) / whole) if whole else 0.0


def merged_module(
    sources: Sources, shape: Shape, recipe: Recipe, rank: int, buffer: Buffer | None = None
) -> tuple[Values, Values, ModuleResult]:
    """B (m × rank) and A (rank × n) of one module of the result."""
    if recipe.strategy == "cat":
        return *concatenated(sources, shape, recipe), ModuleResult(shape.name, rank, 0.0, 0.0)
    if recipe.space == "delta":
        dense = merged_delta(sources, shape, recipe, buffer or Buffer([shape]))
        small = low_rank(dense, rank, rules.generator(recipe.seed, shape.name, "omega"))
        return small.b, small.a, ModuleResult(shape.name, rank, small.norm, small.error)
    stack = Stacked(sources, shape)
    cut = truncate(*merged(stack.grams, recipe, sources.identities), rank)
    made = stack.times(cut.left), stack.times_a(cut.right)
    return *made, ModuleResult(shape.name, rank, cut.norm, cut.error)


def merged(grams: Grams, recipe: Recipe, identities: tuple[str, ...]) -> tuple[Matrix, Basis, Basis]:
    """The merged module as a core (p × q) in a basis of the B's and one of the A's: exact, before truncation."""
    if recipe.strategy in LINEAR:
        b, a = basis(grams.b), basis(grams.a)
        return linear_core(grams, b, a, coefficients(recipe, grams.shape.ranks, grams.inner())), b, a
    b, a = singular_basis(grams.b), singular_basis(grams.a)
    return merged_core(grams, b, a, recipe, identities), b, a


def _check_range(a: Values, b: Values, stored: str, shape: Shape) -> None:
    largest = float(max(np.abs(a).max(initial=0), np.abs(b).max(initial=0)))
    if not largest <= (_LARGEST_F16 if stored == "F16" else _LARGEST_F32):
        raise BadInput(
            f"the merged {shape.name} has values that {stored} cannot hold: {largest:.3g}",
            where="--dtype",
            fix="Store it as bf16 or f32, or take smaller weights.",
        )
