"""A run's journal played back at any speed: the story as it stood at any moment, by the journal's own times.

Between a stop and the next start nobody worked: that time is left out, however long it was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from lora_tui.jobs import journal
from lora_tui.jobs.story import Story

SPEEDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Replay:
    """Where a playback stands. `move`, `step` and `advance` change that; `story` is what was known then."""

    def __init__(self, events: Sequence[journal.AnyEvent]) -> None:
        self.events = events
        self._moments = _moments(events)
        self._steps = [index for index, event in enumerate(events) if isinstance(event, journal.Metrics)]
        self.position = 0.0  # seconds since the beginning
        self.speed = SPEEDS[3]
        self.playing = True
        self.times = 0  # how often it was gone back, and the story begun anew
        self.told = 0  # events folded
        self.story = Story()

    @property
    def length(self) -> float:
        """Seconds of work in all."""
        return self._moments[-1] if self._moments else 0.0

    @property
    def ended(self) -> bool:
        """Whether everything was told."""
        return self.told >= len(self.events)

    def advance(self, seconds: float) -> None:
        """Let so much of the watcher's time pass."""
        if self.playing:
            self.move(self.position + seconds * self.speed)

    def move(self, position: float) -> None:
        """Go to a moment, forward or back."""
        self.position = min(max(0.0, position), self.length)
        self._fold(bisect_right(self._moments, self.position))

    def step(self, steps: int) -> None:
        """Go to the optimizer step that many further on, or back, and stay there."""
        self.playing = False
        done = bisect_right(self._steps, self.told - 1)  # steps told
        wanted = done + steps
        if wanted < 1:
            self.move(0.0)
        elif wanted > len(self._steps):
            self.move(self.length)
        else:
            index = self._steps[wanted - 1]
            self.position = self._moments[index]
            self._fold(index + 1)

    def faster(self, by: int) -> None:
        """The next speed, or the one before."""
        self.speed = SPEEDS[min(max(0, SPEEDS.index(self.speed) + by), len(SPEEDS) - 1)]

    def _fold(self, count: int) -> None:
        if count < self.told:
            self.story, self.told = Story(), 0
            self.times += 1
        for event in self.events[self.told : count]:
            self.story.fold(event)
        self.told = count


def _moments(events: Sequence[journal.AnyEvent]) -> list[float]:
    """Seconds since the first event, never falling, of every event."""
    moments: list[float] = []
    now, before, ended = 0.0, None, False
    for event in events:
        passed = event.time - before if before is not None and not ended else 0.0
        now += max(0.0, passed)  # a clock may be set back
        before = event.time
        moments.append(now)
        if isinstance(event, journal.Stopped | journal.Failed | journal.Finished):
            ended = True
        elif isinstance(event, journal.Starting | journal.Started):
            ended = False
    return moments
