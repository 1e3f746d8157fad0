"""From stacked factors back to rank k without an m × n matrix: orthonormal bases, one small SVD, truncation.

With B = Q_B·C_B and Aᵀ = Q_A·C_A (Q with orthonormal columns), Σ cᵢΔWᵢ = Q_B·(C_B·diag(cs)·C_Aᵀ)·Q_Aᵀ: the singular
values of the R × R core are those of the merged ΔW, so the best rank k and its error are exact (Eckart–Young). Q is
never formed: Q = B·W, with W from the Gram matrix.
"""

from __future__ import annotations

import msgspec
import numpy as np

from lora_tui.adapters.merging.stacked import Grams, Matrix

_EPSILON = float(np.finfo(np.float64).eps)
_INDEPENDENT = 1e-2  # how much of a column of length 1 the others must leave over for Cholesky to be exact


class Basis(msgspec.Struct, frozen=True):
    """Of a tall X (m × R) of numerical rank p: X·`whitening` (R × p) is orthonormal, and X = that · `coordinates`."""

    whitening: Matrix
    coordinates: Matrix  # p × R


class Truncated(msgspec.Struct, frozen=True):
    """A core's best rank k: merged B = B·`left`, merged A = `right`·A; `singular` has all singular values."""

    left: Matrix  # R × k
    right: Matrix  # k × R
    singular: Matrix

    @property
    def norm(self) -> float:
        """‖merged ΔW‖ before truncation."""
        return float(np.sqrt(np.square(self.singular).sum()))

    @property
    def error(self) -> float:
        """Share of that norm that truncation loses, from 0 to 1."""
        return lost(self.singular, self.left.shape[1])


def lost(singular: Matrix, k: int) -> float:
    """√(Σ_{j>k} S_j²) / √(Σ S_j²); 0 for a matrix of zeros."""
    total = np.square(singular).sum()
    return float(np.sqrt(np.square(singular[k:]).sum() / total)) if total else 0.0


def basis(gram: Matrix) -> Basis:
    """An orthonormal basis of X's columns from XᵀX. They are made equally long first: then a tiny one counts too.

    By Cholesky, which is quick; where columns are almost dependent by eigenvectors, without those of no size.
    """
    lengths = np.sqrt(np.diag(gram))
    lengths[lengths == 0] = 1.0
    equal = gram / np.outer(lengths, lengths)
    try:
        lower = np.linalg.cholesky(equal)
    except np.linalg.LinAlgError:
        lower = np.zeros_like(equal)
    if np.diag(lower).min() > _INDEPENDENT:
        return Basis(np.linalg.inv(lower).T / lengths[:, None], lower.T * lengths)
    values, vectors = np.linalg.eigh(equal)
    kept = values > len(values) * _EPSILON * max(float(values[-1]), 0.0)
    roots = np.sqrt(values[kept])
    vectors = vectors[:, kept]
    return Basis(vectors / roots / lengths[:, None], (vectors * roots).T * lengths)


def singular_basis(gram: Matrix) -> Basis:
    """The same with X's left singular vectors, the largest first."""
    found = basis(gram)
    u, values, v = np.linalg.svd(found.coordinates, full_matrices=False)
    return Basis(found.whitening @ u, values[:, None] * v)


def linear_core(grams: Grams, b: Basis, a: Basis, coefficients: Matrix) -> Matrix:
    """Σ cᵢΔWᵢ in the two bases (p × q)."""
    core: Matrix = (b.coordinates * grams.spread(coefficients)) @ a.coordinates.T
    return core


def truncate(core: Matrix, b: Basis, a: Basis, k: int) -> Truncated:
    """The core's best rank k, √S on both sides: equally large factors are what bf16 stores best.

    Beyond the core's own rank the factors are zeros, so that their shape is known before anything is computed.
    """
    u, singular, v = np.linalg.svd(core, full_matrices=False)
    rank = min(k, len(singular))
    roots = np.sqrt(singular[:rank])
    left = np.zeros((b.whitening.shape[0], k))
    right = np.zeros((k, a.whitening.shape[0]))
    left[:, :rank] = b.whitening @ (u[:, :rank] * roots)
    right[:rank] = (a.whitening @ (v[:rank].T * roots)).T
    return Truncated(left, right, singular)
