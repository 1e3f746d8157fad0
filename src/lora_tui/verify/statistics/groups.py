"""The same comparison for several groups, such as languages, without finding by chance what only one of them shows."""

from __future__ import annotations

from collections.abc import Mapping

from lora_tui.verify.statistics.comparison import WORTHWHILE, Comparison, Samples, compare, judged
from lora_tui.verify.statistics.interval import SEED


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Each p adjusted for all of them being looked at (Holm 1979, Scandinavian Journal of Statistics 6, 65)."""
    adjusted: dict[str, float] = {}
    largest = 0.0
    for place, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def compare_groups(
    groups: Mapping[str, tuple[Samples, Samples]], *, worthwhile: float = WORTHWHILE, seed: int = SEED
) -> dict[str, Comparison]:
    """Compare (baseline, tuned) of each group; every p is adjusted by Holm over the groups that can be tested at all.

    A group too small for any verdict costs the others nothing (Tarone 1990): whether it is does not depend on who won.
    """
    alone = {name: compare(*sides, worthwhile=worthwhile, seed=seed) for name, sides in groups.items()}
    adjusted = holm({name: found.p for name, found in alone.items() if found.testable})
    return {name: judged(found, adjusted.get(name, found.p)) for name, found in alone.items()}
