"""What a merge would do, before anything is written: errors, norms, conflicts, ranks and size.

Linear strategies and core space are computed in full, from Gram matrices alone. TIES and DARE on ΔW are tried on a few
small modules.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np

from lora_tui.adapters.memory import RANKS
from lora_tui.adapters.merging import output
from lora_tui.adapters.merging.coefficients import LINEAR, check, weights_of
from lora_tui.adapters.merging.factored import lost
from lora_tui.adapters.merging.merge import Advance, ModuleResult, merged, merged_module, total_error
from lora_tui.adapters.merging.sources import Shape, Sources, active
from lora_tui.adapters.merging.stacked import Matrix, Stacked
from lora_tui.jobs.merging import Recipe

LOSSES = (0.01, 0.05, 0.1)  # for which the rank is told that loses no more
_LOSSLESS = 1e-6
_TRIED = 4  # modules, for TIES and DARE on ΔW
_SMALL = 4_000_000  # entries


class ModulePlan(msgspec.Struct, frozen=True):
    """One module: its rank, ‖merged ΔW‖ against the mean of the adapters' ‖ΔW‖, the share that is lost."""

    name: str
    rank: int
    norm: float | None
    error: float | None  # None: not known before the merge
    cosines: tuple[float | None, ...]  # ⟨ΔWᵢ, ΔWⱼ⟩/‖ΔWᵢ‖‖ΔWⱼ‖ of each of the plan's pairs; None where one lacks it


class Pair(msgspec.Struct, frozen=True):
    """How two adapters agree: cosines of their ΔW, over everything and in each layer. Below 0 they work against."""

    one: str
    two: str
    cosine: float
    layers: dict[str, float]


class Plan(msgspec.Struct, frozen=True):
    """What the merge would give."""

    strategy: str
    weights: dict[str, float]
    r: int
    ranks_summed: int  # R: the rank that the adapters side by side have
    dtype: str
    bytes: int
    max_lora_rank: int  # what vLLM is to be started with; 0: it takes no such rank
    error: float | None
    tried: int  # modules that the error was measured on, where it was not on all; 0: on all
    norm: float | None  # ‖merged ΔW‖ over the mean of the adapters', all modules together
    lossless_rank: int | None
    rank_of_loss: dict[str, int]  # {"1 %": 40, …}: the smallest r of every module that loses no more
    pairs: tuple[Pair, ...]
    modules: tuple[ModulePlan, ...]
    notes: tuple[str, ...]


def plan(sources: Sources, recipe: Recipe, advance: Advance) -> Plan:
    """Look at every module. Raises BadInput as a merge would."""
    check(recipe, len(sources.folders))
    sources, recipe = active(sources, recipe)
    of, stored = output.ranks(sources, recipe), output.dtype(sources, recipe)
    pairs = [(i, j) for i in range(len(sources.folders)) for j in range(i)][::-1]
    looked = _Looked()
    modules = []
    shapes = [shape for shape in sources.modules if shape.name in of]
    for done, shape in enumerate(shapes):
        advance(done, len(shapes))
        modules.append(_look(sources, shape, recipe, of[shape.name], pairs, looked))
        for folder in sources.folders:
            folder.release()
    tried = _try(sources, shapes, recipe, of) if recipe.space == "delta" else []
    advance(len(shapes), len(shapes))
    r = max(of.values())
    known = looked.spectra and recipe.strategy != "cat"
    error = 0.0 if recipe.strategy == "cat" else total_error(tried) if tried else looked.error(of)
    found = Plan(
        strategy=strategy_name(recipe),
        weights=dict(zip(sources.labels, map(float, weights_of(recipe, len(sources.folders))), strict=True)),
        r=r,
        ranks_summed=max(sum(shape.ranks) for shape in shapes),
        dtype=stored,
        bytes=output.file_bytes(tuple(shapes), of, stored),
        max_lora_rank=next((rank for rank in RANKS if rank >= r), 0),
        error=error,
        tried=len(tried),
        norm=looked.norm() if looked.spectra else None,
        lossless_rank=looked.rank_of(_LOSSLESS) if looked.spectra else None,
        rank_of_loss={f"{loss:.0%}".replace("%", " %"): looked.rank_of(loss) for loss in LOSSES} if known else {},
        pairs=tuple(_pair(sources, one, modules, looked, index) for index, one in enumerate(pairs)),
        modules=tuple(modules),
        notes=sources.notes,
    )
    return msgspec.structs.replace(found, notes=(*found.notes, *_notes(found, recipe)))


def strategy_name(recipe: Recipe) -> str:
    """As it is shown: what is done in core space is never called by the paper's name alone."""
    return recipe.strategy if recipe.strategy in LINEAR else f"{recipe.strategy} ({recipe.space})"


class _Looked:
    """What is summed over the modules."""

    def __init__(self) -> None:
        self.spectra: dict[str, Matrix] = {}
        self.inner: dict[str, Matrix] = {}

    def error(self, of: dict[str, int]) -> float | None:
        if not self.spectra:
            return None
        return total_error(
            [
                ModuleResult(name, of[name], float(np.linalg.norm(found)), lost(found, of[name]))
                for name, found in self.spectra.items()
            ]
        )

    def norm(self) -> float:
        whole = math.sqrt(sum(float(np.square(found).sum()) for found in self.spectra.values()))
        total = sum(self.inner.values())
        mean = float(np.mean(np.sqrt(np.maximum(np.diag(total), 0))))
        return whole / mean if mean else 0.0

    def rank_of(self, loss: float) -> int:
        """The smallest rank at which all modules together lose no more."""
        most = max(len(found) for found in self.spectra.values())
        squares = np.zeros(most + 1)
        for found in self.spectra.values():
            squares[: len(found)] += np.square(found)
        tails = np.cumsum(squares[::-1])[::-1]  # what is lost at each rank
        return int(np.argmax(tails <= loss**2 * tails[0]))


def _look(
    sources: Sources, shape: Shape, recipe: Recipe, rank: int, pairs: Sequence[tuple[int, int]], looked: _Looked
) -> ModulePlan:
    grams = Stacked(sources, shape).grams
    inner = grams.inner()
    looked.inner[shape.name] = inner
    norms = np.sqrt(np.maximum(np.diag(inner), 0))
    present = np.array([wide > 0 for wide in shape.ranks])
    cosines = tuple(_cosine(inner, one) if present[list(one)].all() else None for one in pairs)
    if recipe.space == "delta":
        return ModulePlan(shape.name, rank, None, None, cosines)
    core, _, _ = merged(grams, recipe, sources.identities)
    singular: Matrix = np.linalg.svd(core, compute_uv=False).astype(np.float64, copy=False)
    looked.spectra[shape.name] = singular
    mean = float(norms[present].mean())
    norm = float(np.linalg.norm(singular)) / mean if mean else 0.0
    return ModulePlan(shape.name, rank, norm, 0.0 if recipe.strategy == "cat" else lost(singular, rank), cosines)


def _cosine(inner: Matrix, pair: tuple[int, int]) -> float:
    i, j = pair
    length = math.sqrt(max(0.0, float(inner[i, i] * inner[j, j])))
    return float(np.clip(inner[i, j] / length, -1, 1)) if length else 0.0


def _pair(sources: Sources, pair: tuple[int, int], modules: Sequence[ModulePlan], looked: _Looked, index: int) -> Pair:
    adapters = len(sources.folders)
    layers: dict[str, Matrix] = defaultdict(lambda: np.zeros((adapters, adapters)))
    for module in modules:
        if module.cosines[index] is not None:
            layers[_layer(module.name)] += looked.inner[module.name]
    j, i = sorted(pair)
    everything = np.sum(list(looked.inner.values()), axis=0)
    return Pair(
        sources.labels[j],
        sources.labels[i],
        _cosine(everything, pair),
        {layer: _cosine(inner, pair) for layer, inner in layers.items()},
    )


def _layer(module: str) -> str:
    found = re.search(r"\.(\d+)\.", module)
    return found[1] if found else ""


def _try(sources: Sources, shapes: Sequence[Shape], recipe: Recipe, of: dict[str, int]) -> list[ModuleResult]:
    """Merge a few small modules, of different kinds."""
    by_size = sorted(shapes, key=lambda shape: shape.rows * shape.columns)
    first = {shape.name.rsplit(".", 1)[-1]: shape for shape in reversed(by_size)}
    small = [shape for shape in first.values() if shape.rows * shape.columns <= _SMALL] or by_size[:1]
    return [merged_module(sources, shape, recipe, of[shape.name])[2] for shape in small[:_TRIED]]


def _notes(found: Plan, recipe: Recipe) -> list[str]:
    notes = []
    if not found.max_lora_rank:
        notes.append(f"r = {found.r} is more than vLLM serves ({RANKS[-1]}): give a rank")
    if found.norm is not None and not 0.8 <= found.norm <= 1.25:
        change = "grows" if found.norm > 1 else "shrinks"
        notes.append(f"the merged adapter {change} to {found.norm:.2f} times the norm that the adapters have")
    if recipe.strategy not in LINEAR:
        lost_here = f"loses {found.error:.0%} of it" if found.error is not None else "loses much of it"
        notes.append(
            f"{recipe.strategy} chooses among entries, which spreads the result over every rank: r = {found.r} "
            f"{lost_here}. A linear strategy loses less"
        )
    against = [pair for pair in found.pairs if pair.cosine < -0.05]
    notes += [f"{pair.one} and {pair.two} work against each other: cosine {pair.cosine:.2f}" for pair in against]
    return notes
