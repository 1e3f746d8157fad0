"""TIES and DARE on ΔW itself: some rows at a time, into one buffer that every module uses again.

ΔWᵢ is never whole in memory: a block of rows (sᵢ·Bᵢ[rows])·Aᵢ is computed when it is needed, small enough for a cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from lora_tui.adapters.merging import rules
from lora_tui.adapters.merging.coefficients import density_of, weights_of
from lora_tui.adapters.merging.sources import Shape, Sources, finite_factors
from lora_tui.adapters.tensor_files import Array
from lora_tui.jobs.merging import Recipe

BLOCK = 1 << 16  # entries of a block
_SAMPLED = 1 << 20  # entries that a threshold is first looked for among
_MARGINS = (0.01, 0.1, 1.0)  # share of the entries on either side of it that are then looked at in full


class Delta(msgspec.Struct, frozen=True):
    """One adapter's ΔW of a module: B with the scale (m × r) and A (r × n), in float32."""

    b: Array
    a: Array

    def blocks(self, rows: int) -> Iterator[Array]:
        """The rows of ΔW, so many at a time."""
        for at in range(0, len(self.b), rows):
            yield self.b[at : at + rows] @ self.a


class Buffer:
    """Memory for one ΔW, kept from module to module."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        largest = max(shape.rows * shape.columns for shape in shapes)
        self._values = np.empty(largest, np.float32)

    def of(self, shape: Shape) -> Array:
        """As m × n of a module; what it holds is anything."""
        return self._values[: shape.rows * shape.columns].reshape(shape.rows, shape.columns)


def merged_delta(sources: Sources, shape: Shape, recipe: Recipe, buffer: Buffer, *, block: int = BLOCK) -> Array:
    """The module's ΔW (m × n) merged by TIES or DARE, in the buffer."""
    rows = max(1, block // shape.columns)
    weights = weights_of(recipe, len(sources.folders)) * (recipe.scaling if recipe.strategy == "dare" else 1.0)
    deltas = [
        (_delta(sources, shape, index), float(weights[index]), sources.identities[index])
        for index, rank in enumerate(shape.ranks)
        if rank
    ]
    found = buffer.of(shape)
    if recipe.strategy == "ties":
        _ties(deltas, recipe, found, rows)
    else:
        _dare(deltas, recipe, shape.name, found, rows)
    return found


def _delta(sources: Sources, shape: Shape, index: int) -> Delta:
    folder = sources.folders[index]
    a, b = finite_factors(folder, shape.name)
    folder.release()
    return Delta(b * np.float32(folder.modules[shape.name].scale), a)


_Voter = tuple[Delta, float, str]  # with its weight and its identity


def _ties(voters: list[_Voter], recipe: Recipe, found: Array, rows: int) -> None:
    kept = rules.kept_entries(found.size, density_of(recipe))
    least = [threshold(delta, kept, found, rows) for delta, _, _ in voters]
    for at, parts in enumerate(zip(*(delta.blocks(rows) for delta, _, _ in voters), strict=True)):
        election = rules.Election(parts[0].shape, np.float32)
        for part, limit, (_, weight, _) in zip(parts, least, voters, strict=True):
            election.vote(rules.trim(part, limit), weight)
        found[at * rows : (at + 1) * rows] = election.result() * np.float32(recipe.scaling)


def _dare(voters: list[_Voter], recipe: Recipe, module: str, found: Array, rows: int) -> None:
    found[:] = 0
    density = density_of(recipe)
    for delta, weight, identity in voters:
        random = rules.generator(recipe.seed, module, identity)
        for at, part in enumerate(delta.blocks(rows)):
            found[at * rows : (at + 1) * rows] += np.float32(weight) * rules.drop(part, density, random)


def threshold(delta: Delta, kept: int, scratch: Array, rows: int) -> float:
    """The `kept`-th largest |entry| of ΔW, exactly; 0 where fewer are not 0. `scratch` (m × n) is overwritten.

    A sample says about where it lies; one pass counts what is above and keeps what is near, from which it is picked.
    """
    share = kept / scratch.size
    sample = _sample(delta)
    for margin in _MARGINS:
        low, high = (_quantile(sample, min(1.0, max(0.0, share + side * margin))) for side in (1, -1))
        above, near = _count(delta, low, high, scratch.reshape(-1), rows)
        if above < kept <= above + near.size:
            return rules.threshold(near, kept - above)
    return 0.0


def _sample(delta: Delta) -> NDArray[np.float32]:
    """Magnitudes of rows and columns that are spread over all of it, the largest first."""
    m, n = len(delta.b), delta.a.shape[1]
    columns = min(n, max(1 << 10, _SAMPLED // m))
    rows = min(m, _SAMPLED // columns)
    picked = delta.b[np.linspace(0, m - 1, rows, dtype=int)] @ delta.a[:, np.linspace(0, n - 1, columns, dtype=int)]
    return np.sort(np.abs(picked), axis=None)[::-1]


def _quantile(falling: NDArray[np.float32], share: float) -> float:
    """The magnitude that about so large a share lies above: 0 of all, ∞ of none."""
    if share in (0, 1):
        return 0.0 if share else float("inf")
    return float(falling[int(share * len(falling))])


def _count(
    delta: Delta, low: float, high: float, scratch: NDArray[np.float32], rows: int
) -> tuple[int, NDArray[np.float32]]:
    """How many magnitudes are above `high`, and those from `low` to it that are not 0."""
    above = found = 0
    for part in delta.blocks(rows):
        magnitudes = np.abs(part, out=part)
        above += int(np.count_nonzero(magnitudes > high))
        near = np.compress(((magnitudes >= low) & (magnitudes <= high) & (magnitudes > 0)).ravel(), magnitudes)
        scratch[found : found + near.size] = near
        found += near.size
    return above, scratch[:found]
