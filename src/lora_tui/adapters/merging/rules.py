"""TIES and DARE on entries: trim, elect, mean; a random mask. The same rules on a core, on ΔW, or on some rows of it.

TIES: Yadav et al. 2023, §3. DARE: Yu et al. 2024, §3. Both as printed there, with weights.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[Any]  # float32 or float64


_NOTHING = 1e-30  # less than any weight: what nobody voted for is 0 and stays it


def kept_entries(size: int, density: float) -> int:
    """How many of `size` entries a density keeps: at least one."""
    return max(1, int(density * size + 1e-9))


def threshold(magnitudes: Values, kept: int) -> float:
    """The `kept`-th largest magnitude."""
    flat = magnitudes.ravel()
    return float(np.partition(flat, flat.size - kept)[flat.size - kept])


def trim(values: Values, least: float) -> Values:
    """What is at least so large, else 0."""
    trimmed: Values = values * (np.abs(values) >= least)
    return trimmed


class Election:
    """Signs by vote, then the mean of those that agree: Σ w·τ / Σ |w| over the adapters whose w·τ has the elected sign.

    A negative weight votes negatively; zeros never vote; a tie elects +. With T = Σ w·τ, S = Σ |w·τ| and the elected
    sign γ of T, the sum of those that agree is γ(|T| + S)/2: no entry is chosen by itself, which is slow.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self._signed = np.zeros(shape, dtype)
        self._absolute = np.zeros(shape, dtype)
        self._weights = np.zeros((2, *shape), dtype)  # of those who vote + and of those who vote −

    def vote(self, trimmed: Values, weight: float) -> None:
        """One adapter's trimmed entries."""
        weighted = trimmed * trimmed.dtype.type(weight)
        share = trimmed.dtype.type(abs(weight))
        self._signed += weighted
        self._weights[0] += (weighted > 0) * share
        self._weights[1] += (weighted < 0) * share
        self._absolute += np.abs(weighted, out=weighted)

    def result(self) -> Values:
        """The merged entries."""
        positive = self._signed >= 0
        weight = self._weights[0] * positive + self._weights[1] * ~positive
        total = np.abs(self._signed) + self._absolute
        total *= 0.5
        total /= np.maximum(weight, _NOTHING)
        found: Values = np.copysign(total, self._signed)
        return found


def generator(seed: int, module: str, of: str) -> np.random.Generator:
    """Random numbers for one module of one adapter: they depend neither on the others nor on any order."""
    digest = hashlib.sha256(f"{seed}|{module}|{of}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "big") >> 1))


def drop(values: Values, density: float, random: np.random.Generator) -> Values:
    """Each entry with the probability `density`, divided by it.

    A row takes as many 64-bit words as it has pairs of entries, two 32-bit numbers of each: it does not matter how many
    rows are drawn for at once.
    """
    rows, columns = values.shape
    words = random.bit_generator.random_raw(rows * (-(-columns // 2)))
    numbers = np.asarray(words, "<u8").view("<u4").reshape(rows, -1)[:, :columns]
    kept: Values = values * (numbers <= min(2**32 - 1, round(density * 2**32) - 1))
    kept *= values.dtype.type(1 / density)
    return kept
