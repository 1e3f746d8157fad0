"""How long a run still takes, from what it took: the steps' own pace, and what stood between them."""

from __future__ import annotations

from collections import deque
from statistics import fmean, median, quantiles

import msgspec

from lora_tui.jobs import journal

_RECENT = 50  # intervals between journalled steps
_STEADY = 0.2  # a spread of the middle half below this share of the median is no range worth showing
_OUTLIER = 5.0  # an interruption this many times the usual one is a sleeping machine or a changed clock


class ToGo(msgspec.Struct, frozen=True):
    """Seconds to the end: the likely figure, and between which two it lies when the pace varies."""

    seconds: float
    low: float
    high: float

    @property
    def noisy(self) -> bool:
        """Whether the two ends are worth telling apart."""
        return self.high > self.low


class Pace:
    """Fed a run's events in order. Pauses do not count, nor does a clock that was set, nor a machine that slept.

    A step's length is the median of the recent ones. Evaluations, checkpoints and answers are what the journal's times
    show beyond the steps themselves where such an event lies between two; their share per step so far is expected on.
    """

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_RECENT)  # seconds a step, ordinary intervals
        self._between: list[float] = []  # seconds an interruption took
        self._steps = 0  # covered by what was measured
        self._last: tuple[int, float] | None = None  # step and time
        self._interrupted = False
        self._paused_at = 0.0
        self._paused_for = 0.0

    def feed(self, event: journal.AnyEvent) -> None:
        """Take one event in."""
        match event:
            case journal.Metrics():
                self._step(event)
            case journal.Evaluation() | journal.Checkpoint() | journal.Sample() | journal.General():
                self._interrupted = True
            case journal.Paused():
                self._paused_at = event.time
            case journal.Continued() if self._paused_at:
                self._paused_for += max(0.0, event.time - self._paused_at)
                self._paused_at = 0.0
            case journal.Starting() | journal.Started():
                self._last = None
                self._interrupted = False
                self._paused_at = self._paused_for = 0.0
            case journal.OutOfMemory():
                self._recent.clear()  # half the batch, twice the accumulation: another pace
            case _:
                pass

    def _step(self, event: journal.Metrics) -> None:
        before, self._last = self._last, (event.step, event.time)
        interrupted, self._interrupted = self._interrupted, False
        paused, self._paused_for = self._paused_for, 0.0
        steps = event.step - before[0] if before is not None else 1
        if steps < 1:
            return
        took = event.time - before[1] - paused if before is not None else 0.0
        if interrupted and before is not None:
            pace = event.step_seconds or (median(self._recent) if self._recent else 0.0)
            if pace and took > 0:
                self._between.append(max(0.0, took - steps * pace))
                self._steps += steps
            return
        length = max(event.step_seconds, took / steps)
        if length:
            self._recent.append(length)
            self._steps += steps

    @property
    def step_seconds(self) -> float | None:
        """The median step of late; None before the first."""
        return median(self._recent) if self._recent else None

    def to_go(self, steps: int) -> ToGo | None:
        """How long `steps` more steps take; None while nothing was measured."""
        if not self._recent:
            return None
        usual = median(self._recent)
        extra = 0.0
        if self._between and self._steps:
            most = _OUTLIER * median(self._between)
            extra = fmean(min(item, most) for item in self._between) * len(self._between) / self._steps
        low = high = usual
        if len(self._recent) >= 8:
            first, _, third = quantiles(self._recent, n=4)
            if third - first > _STEADY * usual:
                low, high = first, third
        steps = max(0, steps)
        return ToGo(seconds=steps * (usual + extra), low=steps * (low + extra), high=steps * (high + extra))
