"""A recipe's numbers: checked, and turned into one factor for each adapter, merged ΔW = Σ cᵢ · ΔWᵢ."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lora_tui.jobs.merging import Recipe, Strategy
from lora_tui.workspace.errors import BadInput

Vector = NDArray[np.float64]

LINEAR: tuple[Strategy, ...] = ("average", "weighted", "task-arithmetic", "slerp", "cat")
_DENSITY: dict[Strategy, float] = {"ties": 0.2, "dare": 0.5}  # TIES: Yadav et al. 2023, §3
_WEIGHTED: tuple[Strategy, ...] = ("weighted", "task-arithmetic", "ties", "dare", "cat")
_SCALED: tuple[Strategy, ...] = ("task-arithmetic", "ties", "dare")
_NORMALISED: tuple[Strategy, ...] = ("weighted", "task-arithmetic", "dare", "cat")
_PARALLEL = 0.9995  # |cos θ| above which a slerp is a lerp
_NOTHING = 1e-12  # a norm or a sum below it is none


def check(recipe: Recipe, adapters: int) -> None:
    """Raises BadInput where the numbers make no sense, or are of another strategy."""
    strategy = recipe.strategy
    _check_weights(recipe, adapters)
    if strategy == "slerp" and adapters != 2:
        raise BadInput(f"slerp takes exactly two adapters, not {adapters}", fix="Use average or weighted for more.")
    if not 0 <= recipe.t <= 1:
        raise BadInput(f"t = {recipe.t:g} is not from 0 (the first adapter) to 1 (the second)", where="--t")
    if recipe.density is not None and strategy not in _DENSITY:
        raise BadInput(f"{strategy} has no density", where="--density", fix="It is for ties and dare.")
    if recipe.density is not None and not 0 < recipe.density <= 1:
        why = "it would keep nothing" if recipe.density == 0 else "it is a share of the entries"
        raise BadInput(f"density = {recipe.density:g}: {why}", where="--density", fix="More than 0 and at most 1.")
    if recipe.scaling != 1 and strategy not in _SCALED:
        raise BadInput(f"{strategy} has no lambda", where="--lambda", fix=f"It is for {', '.join(_SCALED)}.")
    if recipe.scaling == 0:
        raise BadInput("lambda = 0: nothing would be left", where="--lambda")
    if not math.isfinite(recipe.scaling):
        raise BadInput(f"lambda = {recipe.scaling} is no number", where="--lambda")
    if recipe.space == "delta" and strategy not in _DENSITY:
        raise BadInput(f"{strategy} gives the same in every space", where="--space", fix="It is for ties and dare.")
    if recipe.rank < 0:
        raise BadInput(f"rank = {recipe.rank} is none", where="--rank")
    if recipe.rank and strategy == "cat":
        raise BadInput("cat keeps every rank", where="--rank", fix="Use task-arithmetic: the same sum, truncated.")
    if recipe.renormalise and strategy != "average":
        raise BadInput("only an average is renormalised", where="--renormalise")


def _check_weights(recipe: Recipe, adapters: int) -> None:
    strategy, weights = recipe.strategy, recipe.weights
    if weights and strategy not in _WEIGHTED:
        instead = "--t" if strategy == "slerp" else "the strategy weighted"
        raise BadInput(f"{strategy} takes no weights", where="--weights", fix=f"Use {instead}.")
    if strategy == "weighted" and not weights:
        raise BadInput("which weights?", where="--weights", fix="One of each adapter: --weights 0.7,0.3")
    if weights and len(weights) != adapters:
        raise BadInput(f"{len(weights)} weights for {adapters} adapters", where="--weights", fix="One of each adapter.")
    if not all(map(math.isfinite, weights)):
        raise BadInput(f"{', '.join(map(str, weights))}: a weight is no number", where="--weights")
    if weights and not any(weights):
        raise BadInput("every weight is 0: nothing would be left", where="--weights")
    if recipe.normalise is not None and strategy not in _NORMALISED:
        raise BadInput(f"the weights of {strategy} are not normalised", where="--normalise")
    if is_normalised(recipe) and abs(sum(weights or (1,))) < 1e-9 * max(1.0, sum(map(abs, weights))):
        raise BadInput(
            f"the weights {', '.join(f'{one:g}' for one in weights)} sum to 0 and cannot be normalised",
            where="--weights",
            fix="Take them as they are: --raw.",
        )


def is_normalised(recipe: Recipe) -> bool:
    """Whether the weights are divided by their sum."""
    return recipe.strategy == "weighted" if recipe.normalise is None else recipe.normalise


def density_of(recipe: Recipe) -> float:
    """The share of the entries that are kept."""
    return _DENSITY.get(recipe.strategy, 1.0) if recipe.density is None else recipe.density


def weights_of(recipe: Recipe, adapters: int) -> Vector:
    """One weight of each adapter, normalised where that is asked for, without λ; of a slerp 1 − t and t."""
    if recipe.strategy == "average":
        return np.full(adapters, 1 / adapters)
    if recipe.strategy == "slerp":
        return np.array([1 - recipe.t, recipe.t])
    weights = np.array(recipe.weights or (1.0,) * adapters, np.float64)
    return weights / weights.sum() if is_normalised(recipe) else weights


def coefficients(recipe: Recipe, ranks: Sequence[int], inner: Vector) -> Vector:
    """c of each adapter in one module.

    `ranks`: 0 of an adapter that lacks it. `inner` (N × N): ⟨ΔWᵢ, ΔWⱼ⟩, which a slerp's angle is taken from.
    """
    present = np.array([rank > 0 for rank in ranks])
    found = weights_of(recipe, len(ranks)) * (recipe.scaling if recipe.strategy in _SCALED else 1.0)
    if recipe.renormalise:
        found = found / found[present].sum()
    if recipe.strategy == "slerp" and present.all():
        found = _slerp(recipe.t, inner)
    return np.where(present, found, 0.0)


def _slerp(t: float, inner: Vector) -> Vector:
    """sin((1−t)θ)/sin θ and sin(tθ)/sin θ; 1−t and t where the two are parallel or one is nothing."""
    norms = np.sqrt(np.maximum(np.diag(inner), 0.0))
    if norms.min() < _NOTHING:
        return np.array([1 - t, t])
    cosine = float(np.clip(inner[0, 1] / (norms[0] * norms[1]), -1.0, 1.0))
    if abs(cosine) > _PARALLEL:
        return np.array([1 - t, t])
    angle = math.acos(cosine)
    return np.array([math.sin((1 - t) * angle), math.sin(t * angle)]) / math.sin(angle)
