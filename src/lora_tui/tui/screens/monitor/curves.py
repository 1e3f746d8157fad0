"""A run's curves as they are drawn: bounded in memory, with the smoothed loss beside the raw one."""

from __future__ import annotations

from collections.abc import Mapping

from lora_tui.jobs.smoothing import Smoothed
from lora_tui.tui.screens.monitor.points import EVAL, GENERAL, NORM, PACE, PASSED, RATE, RAW, SMOOTHED, Points
from lora_tui.tui.widgets.series import Decimated

_CAPACITY = 4096  # points of a curve: enough to zoom into, and a few milliseconds to draw


class Curves:
    """All of one run."""

    def __init__(self) -> None:
        names = (RAW, SMOOTHED, EVAL, RATE, NORM, PACE, PASSED, GENERAL)
        self.lines = {name: Decimated(_CAPACITY) for name in names}
        self._smoothed = Smoothed()
        self.title = ""
        self.total = 0

    def take(self, fresh: bool, points: Mapping[str, Points]) -> bool:
        """Add points, after forgetting all where they are told anew. Returns whether anything changed."""
        if fresh:
            for line in self.lines.values():
                line.clear()
            self._smoothed = Smoothed()
        for name, found in points.items():
            self.lines[name].extend(found)
        self.lines[SMOOTHED].extend(self._smoothed.extend(points.get(RAW, ())))
        return fresh or any(points.values())

    def has(self, name: str) -> bool:
        """Whether anything was measured of it."""
        return bool(self.lines[name].points)
