"""Numbers over steps in bounded memory: when full, neighbours are averaged and the step between points doubles."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable


class Decimated:
    """(x, y) points of one series, at most `capacity` of them; x must not fall. Adding costs O(1) on average."""

    def __init__(self, capacity: int = 1024) -> None:
        self._capacity = max(4, capacity - capacity % 2)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._points: list[tuple[float, float]] = []
        self._per_point = 1
        self._open: list[tuple[float, float]] = []
        self.last: float | None = None

    def extend(self, points: Iterable[tuple[float, float]]) -> None:
        """Add points; those that are not finite numbers are left out."""
        for x, y in points:
            if math.isfinite(x) and math.isfinite(y):
                self.last = y
                self._open.append((x, y))
                if len(self._open) == self._per_point:
                    self._points.append(_mean(self._open))
                    self._open = []
                    if len(self._points) >= self._capacity:
                        self._halve()

    def _halve(self) -> None:
        self._points = [_mean(self._points[i : i + 2]) for i in range(0, len(self._points), 2)]
        self._per_point *= 2

    @property
    def points(self) -> list[tuple[float, float]]:
        """What is kept, the point that is being collected included."""
        return [*self._points, _mean(self._open)] if self._open else self._points

    def between(self, first: float, last: float) -> list[tuple[float, float]]:
        """The points from x `first` to `last`."""
        points = self.points
        low = bisect_left(points, first, key=_x)
        high = bisect_right(points, last, key=_x)
        return points[low:high]

    def at(self, x: float) -> float | None:
        """The value that stood at `x`: of the last point not after it; None before the first, and after the end.

        The end is as far behind the last point as that is behind the one before.
        """
        points = self.points
        found = bisect_right(points, x, key=_x)
        if found == len(points) > 1 and x > 2 * points[-1][0] - points[-2][0]:
            return None
        return points[found - 1][1] if found else None


def _x(point: tuple[float, float]) -> float:
    return point[0]


def _mean(points: list[tuple[float, float]]) -> tuple[float, float]:
    number = len(points)
    return sum(x for x, _ in points) / number, sum(y for _, y in points) / number
