"""How adapters are merged: what a person chooses, as a merge's job.toml keeps it."""

from __future__ import annotations

from typing import Literal

import msgspec

Strategy = Literal["average", "weighted", "slerp", "ties", "dare", "task-arithmetic", "cat"]
Space = Literal["core", "delta"]


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A strategy with its settings. What a strategy does not use has to stay as it is here."""

    strategy: Strategy
    weights: tuple[float, ...] = ()  # one of each adapter; empty: all alike
    t: float = 0.5  # slerp: 0 is the first adapter, 1 the second
    density: float | None = None  # share of the entries that TIES and DARE keep; None: the strategy's own
    scaling: float = 1.0  # λ of task arithmetic, TIES and DARE
    seed: int = 0  # of DARE's masks and of the randomised SVD
    rank: int = 0  # of the result; 0: the largest of the adapters'
    space: Space = "core"  # where TIES and DARE look at entries: R × R cores, or ΔW itself
    normalise: bool | None = None  # divide the weights by their sum; None: only where the strategy is "weighted"
    renormalise: bool = False  # average: where some adapters lack a module, divide by those that have it
    dtype: Literal["", "F32", "BF16", "F16"] = ""  # of the result; empty: the adapters'


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One adapter that is merged."""

    label: str  # as a person names it: "coder@1.0.0", or its folder
    folder: str
    identity: str  # what DARE's mask is drawn by: the same wherever the folder lies
