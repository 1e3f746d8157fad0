"""The smoothed loss: an exponential moving average that is not drawn towards zero at the start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_KEEP = 0.9


class Smoothed:
    """Debiased exponential moving average, fed bit by bit (Kingma & Ba 2015, §3)."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._weight = 0.0

    def extend(self, points: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
        """The smoothed (x, y) of each further point."""
        for x, y in points:
            self._sum = _KEEP * self._sum + (1 - _KEEP) * y
            self._weight = _KEEP * self._weight + (1 - _KEEP)
            yield x, self._sum / self._weight
