"""One way to train: what it would take, what it would cost, and where the data would go."""

from __future__ import annotations

import msgspec

from lora_tui.backends.compare.figure import Figure


class Kind(msgspec.Struct, frozen=True):
    """One kind of GPU that a provider has, with what the run would take on it."""

    gpu: str
    gpus: int
    fits: bool | None
    why: str
    seconds: Figure
    cost: Figure
    price: Figure  # USD an hour of one
    offers: int = 0  # that the price is of; 0: not asked
    memory_gib: float = 0.0  # of one


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A place to train `profile` on `dataset`.

    backend: as `train --backend` takes it: "local", "together", "runpod", "vast", a host's name.
    fits: None where it cannot be said; `why` says more in any case.
    serving: an hour, or a million tokens, of the fine-tuned model afterwards; monthly: that at the stated use.
    setup: what is still to do before it can start; empty: it is ready.
    """

    name: str  # "local", "local, unsloth", "together", …; no two ways have the same
    backend: str
    engine: str  # who trains: "trl", "unsloth", "Together's own"
    fits: bool | None
    why: str
    gpu: str
    seconds: Figure
    cost: Figure
    serving: Figure
    serving_on: str
    monthly: Figure
    setup: tuple[str, ...]
    latency: str
    latency_source: str
    data: str
    kinds: tuple[Kind, ...] = ()
    memory_gb: float = 0.0  # that a GPU to rent must have; 0: not known
    paid: Figure | None = None  # what the last run of the same work there really took
    notes: tuple[str, ...] = ()


class Comparison(msgspec.Struct, frozen=True):
    """Every way for one profile and dataset, local ones first; figures hold for `hours_per_day` of use."""

    profile: str
    dataset: str
    base: str
    rows: int
    tokens: tuple[float, float]  # of all passes, from fewest to most
    tokens_source: str
    hours_per_day: float
    asked_live: bool
    ways: tuple[Way, ...]
