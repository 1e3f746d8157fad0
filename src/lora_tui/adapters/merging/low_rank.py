"""From a dense ΔW to rank k: randomised SVD (Halko, Martinsson, Tropp 2011, algorithm 4.4) and its true error."""

from __future__ import annotations

import msgspec
import numpy as np

from lora_tui.adapters.merging.factored import basis
from lora_tui.adapters.tensor_files import Array

_MORE = 8  # columns beyond the rank
_POWERS = 1
_ROWS = 256  # whose squares are added at once


class LowRank(msgspec.Struct, frozen=True):
    """B (m × k) and A (k × n); `error` is the share of ‖M‖ that they miss."""

    b: Array
    a: Array
    norm: float
    error: float


def low_rank(matrix: Array, k: int, random: np.random.Generator) -> LowRank:
    """About the best rank k of M (m × n, float32), √S on both sides; factors beyond M's own rank are zeros."""
    m, n = matrix.shape
    total = _squares(matrix)
    if not total:
        return LowRank(np.zeros((m, k), np.float32), np.zeros((k, n), np.float32), 0.0, 0.0)
    width = min(k + _MORE, m, n)
    y = matrix @ random.standard_normal((n, width), dtype=np.float32)
    for _ in range(_POWERS):
        y = matrix @ _orthonormal(matrix.T @ _orthonormal(y))
    q = _orthonormal(y)
    z = (matrix.T @ q).astype(np.float64)
    found = basis(z.T @ z)
    u, singular, w = np.linalg.svd(found.coordinates, full_matrices=False)
    rank = min(k, len(singular))
    roots = np.sqrt(singular[:rank])
    a, b = np.zeros((k, n), np.float32), np.zeros((m, k), np.float32)
    a[:rank] = (z @ (found.whitening @ (u[:, :rank] * roots))).T
    b[:, :rank] = q @ (w[:rank].T * roots)
    missed = max(0.0, total - float(np.square(singular[:rank]).sum()))
    return LowRank(b, a, float(np.sqrt(total)), float(np.sqrt(missed / total)))


def _orthonormal(x: Array) -> Array:
    """An orthonormal basis of X's columns; fewer where they are not independent."""
    exact = x.astype(np.float64)
    return (exact @ basis(exact.T @ exact).whitening).astype(np.float32)


def _squares(matrix: Array) -> float:
    return sum(float(np.square(matrix[at : at + _ROWS]).sum(dtype=np.float64)) for at in range(0, len(matrix), _ROWS))
