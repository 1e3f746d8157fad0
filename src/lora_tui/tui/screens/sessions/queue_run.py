"""A frozen queue while it is worked through: which questions are open, what must not be shown, how far it is."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import msgspec

from lora_tui.curation import progress, queues
from lora_tui.curation.queues import Queue
from lora_tui.tui.wording import duration
from lora_tui.workspace.layout import Workspace


class Standing(msgspec.Struct, frozen=True):
    """What is counted from time to time: how many left the filter, and the person's pace today."""

    left_filter: int
    per_hour: float | None


class QueueRun:
    """One queue. Positions are places in its list."""

    def __init__(self, workspace: Workspace, queue: Queue) -> None:
        """Reads the whole list: 0.1 s per 100,000."""
        items = queues.items(workspace, queue)
        self.queue = queue
        self.ids = array("q", (item.example_id for item in items))
        self.reasons = {item.example_id: item.reason for item in items if item.reason}
        self._hidden = {item.position for item in items if item.hidden}
        self.masked = {item.position for item in items if item.hidden and not item.done}
        self._open = {item.position for item in items if not item.done and not item.gone}
        self._gone = sum(item.gone and not item.done for item in items)
        self.standing = Standing(0, None)

    @property
    def left(self) -> int:
        """Open questions."""
        return len(self._open)

    def answered(self, position: int) -> None:
        """This question has its answer; only now may an earlier decision be seen."""
        self._open.discard(position)
        self.masked.discard(position)

    def reopened(self, positions: Iterable[int]) -> None:
        """An undo opened these again."""
        opened = set(positions)
        self._open |= opened
        self.masked |= opened & self._hidden

    def next_open(self, after: int) -> int | None:
        """The next open question behind `after`, else the first; None when all are answered."""
        if not self._open:
            return None
        return min((place for place in self._open if place > after), default=None) or min(self._open)

    def words(self) -> str:
        """Name, what is left, pace and time in one line, the most important first."""
        parts = [f"{self.left:,} left of {len(self.ids):,}"]
        if self._gone:
            parts.append(f"{self._gone:,} withdrawn")
        if self.standing.left_filter:
            parts.append(f"{self.standing.left_filter:,} left the filter")
        if self.standing.per_hour:
            parts.append(f"{self.standing.per_hour:.0f}/h")
            if self.left:
                parts.append(duration(3600 * self.left / self.standing.per_hour))
        return " · ".join(parts)


def standing(workspace: Workspace, queue: Queue) -> Standing:
    """Count it anew; two queries."""
    pace = progress.pace(workspace, queue.author, progress.midnight())
    return Standing(queues.left_filter(workspace, queue), pace.per_hour)
