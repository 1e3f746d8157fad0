"""What two adapters differ in: config, metadata, and per module the angle between their ΔW and the ratio of the norms.

Everything stays in the factors: ⟨B₀A₀, B₁A₁⟩ = sum((B₀ᵀB₁) ∘ (A₀A₁ᵀ)), O((m + n) r²) and never an m × n matrix.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from lora_tui.adapters.stored import Adapter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lora_tui.adapters.peft_folder import PeftFolder

    _Factors = tuple[NDArray[np.float64], NDArray[np.float64]]

_ALWAYS = ("name", "version", "created", "made_with", "weights_sha256", "config_sha256")  # they differ anyway


class Changed(msgspec.Struct, frozen=True):
    """One setting that is not the same; None where the one has none."""

    key: str
    one: Any
    other: Any


class ModuleDifference(msgspec.Struct, frozen=True):
    """One module's ΔW in both. A norm is None where that adapter has no such module, or of another shape."""

    module: str
    norm: float | None  # Frobenius, of the first
    other_norm: float | None
    cosine: float | None  # of the angle between them; None where one is zero or not there
    distance: float | None  # ‖ΔW₀ − ΔW₁‖ / ‖ΔW₀‖

    @property
    def ratio(self) -> float | None:
        """Norm of the second over that of the first."""
        return self.other_norm / self.norm if self.norm and self.other_norm is not None else None


class Difference(msgspec.Struct, frozen=True):
    """`total` is of all modules together, as one long vector."""

    config: tuple[Changed, ...]
    metadata: tuple[Changed, ...]
    modules: tuple[ModuleDifference, ...]
    total: ModuleDifference
    same_weights: bool  # byte by byte
    remarks: tuple[str, ...] = ()  # what makes either more than ΔW = scale · B · A


def compare(one: Adapter, other: Adapter) -> Difference:
    """Compare two adapters. Raises BadInput where one cannot be read."""
    from lora_tui.adapters.peft_folder import PeftFolder

    with PeftFolder(one.folder, one.label) as first, PeftFolder(other.folder, other.label) as second:
        names = sorted(first.modules.keys() | second.modules.keys())
        sums = {name: _sums(first, second, name) for name in names}
        both = [math.fsum(found[index] or 0.0 for found in sums.values()) for index in range(3)]
        return Difference(
            config=_changed(_sorted(first.config), _sorted(second.config)),
            metadata=_changed(_told(one), _told(other)),
            modules=tuple(_module(name, *found) for name, found in sums.items()),
            total=_module("all", both[0], both[1], both[2]),
            same_weights=one.metadata.weights_sha256 == other.metadata.weights_sha256 != "",
            remarks=tuple(f"{item.name}: {said}" for item in (first, second) for said in item.obstacles()),
        )


def _sums(first: PeftFolder, second: PeftFolder, name: str) -> tuple[float | None, float | None, float | None]:
    """⟨ΔW₀,ΔW₀⟩, ⟨ΔW₁,ΔW₁⟩ and ⟨ΔW₀,ΔW₁⟩ of a module; None where there is no such thing."""
    one, other = _factors(first, name), _factors(second, name)
    return (
        _inner(one, one) if one is not None else None,
        _inner(other, other) if other is not None else None,
        _inner(one, other) if one is not None and other is not None and _fit(one, other) else None,
    )


def _factors(folder: PeftFolder, name: str) -> _Factors | None:
    """Scaled A and B in float64."""
    import numpy as np

    if name not in folder.modules:
        return None
    a, b = folder.factors(name)
    return folder.modules[name].scale * a.astype(np.float64), b.astype(np.float64)


def _fit(one: _Factors, other: _Factors) -> bool:
    return bool(one[0].shape[1] == other[0].shape[1] and one[1].shape[0] == other[1].shape[0])


def _inner(one: _Factors, other: _Factors) -> float:
    return float(((one[1].T @ other[1]) * (one[0] @ other[0].T)).sum())


def _module(name: str, one: float | None, other: float | None, both: float | None) -> ModuleDifference:
    norms = [None if square is None else math.sqrt(max(0.0, square)) for square in (one, other)]
    cosine = distance = None
    if both is not None and norms[0] and norms[1]:
        cosine = max(-1.0, min(1.0, both / (norms[0] * norms[1])))
    if both is not None and norms[0] and one is not None and other is not None:
        distance = math.sqrt(max(0.0, one + other - 2 * both)) / norms[0]
    return ModuleDifference(name, norms[0], norms[1], cosine, distance)


def _changed(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[Changed, ...]:
    keys = sorted(one.keys() | other.keys())
    return tuple(Changed(key, one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key))


def _sorted(config: Mapping[str, Any]) -> dict[str, Any]:
    """With lists of names in order: PEFT keeps target_modules in a set."""
    return {key: sorted(value) if _is_names(value) else value for key, value in config.items()}


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _told(adapter: Adapter) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(adapter.metadata)
    return {key: value for key, value in found.items() if key not in _ALWAYS}
