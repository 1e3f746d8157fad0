"""One module of all adapters side by side: B = [B₁ … B_N] (m × R), A = [A₁; …; A_N] (R × n), and their Gram matrices.

Everything a linear merge, its error, a norm, a cosine or a core needs follows from BᵀB and AAᵀ (R × R). They are
summed in float64, so that what is lost by squaring is no more than what QR loses in float32 (a direction of B below
1e-7 of its columns), at a thirtieth of the time that LAPACK's QR takes for these tall and thin matrices. Factors are
read some rows of B, or columns of A, at a time, straight from the file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lora_tui.adapters.merging.sources import Shape, Sources, finite_factors
from lora_tui.adapters.tensor_files import Array, from_bfloat16

Matrix = NDArray[np.float64]

_BLOCK = 1 << 16  # numbers that are looked at together: they stay in a core's cache


class Grams(msgspec.Struct, frozen=True):
    """BᵀB and AAᵀ of one module. `places` has each adapter's rows and columns of them; empty where it lacks it."""

    shape: Shape
    b: Matrix
    a: Matrix
    places: tuple[slice, ...]
    scales: tuple[float, ...]

    def inner(self) -> Matrix:
        """⟨ΔWᵢ, ΔWⱼ⟩ of every pair of adapters (N × N): sᵢsⱼ · sum((BᵢᵀBⱼ) ∘ (AᵢAⱼᵀ))."""
        product = self.b * self.a
        return np.array(
            [
                [si * sj * product[i, j].sum() for j, sj in zip(self.places, self.scales, strict=True)]
                for i, si in zip(self.places, self.scales, strict=True)
            ]
        )

    def spread(self, coefficients: Matrix) -> Matrix:
        """cᵢsᵢ of each of the R rows of A."""
        widths = [place.stop - place.start for place in self.places]
        return np.repeat(np.asarray(coefficients) * self.scales, widths)


class Stacked:
    """One module's factors, without scales, and their Gram matrices."""

    def __init__(self, sources: Sources, shape: Shape) -> None:
        """Read them once. Raises BadInput with the key of a value that is no finite number."""
        self.shape = shape
        self._r = sum(shape.ranks)
        owners = [folder for folder, rank in zip(sources.folders, shape.ranks, strict=True) if rank]
        self._factors = [folder.raw_factors(shape.name) for folder in owners]
        ends = np.cumsum((0, *shape.ranks)).tolist()
        places = tuple(slice(start, end) for start, end in itertools.pairwise(ends))
        scales = tuple(
            folder.modules[shape.name].scale if rank else 0.0
            for folder, rank in zip(sources.folders, shape.ranks, strict=True)
        )
        b, a = np.zeros((self._r, self._r)), np.zeros((self._r, self._r))
        for _, rows in self._rows_of_b():
            b += rows.T @ rows
        for _, columns in self._columns_of_a():
            a += columns @ columns.T
        self.grams = Grams(shape, b, a, places, scales)
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            for folder in owners:
                finite_factors(folder, shape.name)

    def times(self, left: Matrix) -> Array:
        """B · left (m × k), from R × k."""
        found = np.empty((self.shape.rows, left.shape[1]), np.float32)
        for place, rows in self._rows_of_b():
            found[place] = rows @ left
        return found

    def times_a(self, right: Matrix) -> Array:
        """right · A (k × n), from k × R."""
        found = np.empty((len(right), self.shape.columns), np.float32)
        for place, columns in self._columns_of_a():
            found[:, place] = right @ columns
        return found

    def _rows_of_b(self) -> Iterator[tuple[slice, Matrix]]:
        step = max(1, _BLOCK // self._r)
        block = np.empty((step, self._r))
        for start in range(0, self.shape.rows, step):
            place = slice(start, min(start + step, self.shape.rows))
            rows, at = block[: place.stop - start], 0
            for _, b in self._factors:
                rows[:, at : at + b.shape[1]] = _widened(b[place])
                at += b.shape[1]
            yield place, rows

    def _columns_of_a(self) -> Iterator[tuple[slice, Matrix]]:
        step = max(1, _BLOCK // self._r)
        block = np.empty((self._r, step))
        for start in range(0, self.shape.columns, step):
            place = slice(start, min(start + step, self.shape.columns))
            columns, at = block[:, : place.stop - start], 0
            for a, _ in self._factors:
                columns[at : at + len(a)] = _widened(a[:, place])
                at += len(a)
            yield place, columns


def _widened(raw: NDArray[Any]) -> NDArray[Any]:
    return from_bfloat16(raw) if raw.dtype == np.uint16 else raw
