"""McNemar's test in its exact form: how uneven a split of what came out differently is chance."""

from __future__ import annotations

from math import comb


def exact_p(gained: int, lost: int) -> float:
    """Chance of a split at least this uneven if both were equally good, two-sided (McNemar 1947, binomial form)."""
    flips = gained + lost
    if not flips:
        return 1.0
    tail = sum(comb(flips, k) for k in range(min(gained, lost) + 1))
    return min(1.0, float(2 * tail / 2**flips))
