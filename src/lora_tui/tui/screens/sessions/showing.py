"""What the list shows, a filter's examples or a queue, and where escape leads from there."""

from __future__ import annotations

from lora_tui.curation.queues import Queue
from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.sessions.filters import View


class Showing:
    """A view, or a queue over it. A filter set in a queue, and near-duplicates, are left again with escape."""

    def __init__(self) -> None:
        self.view = View()
        self.queue: Queue | None = None
        self._before: tuple[View, Queue | None] | None = None

    @property
    def is_blind(self) -> bool:
        """In a second opinion nothing but its list is shown: elsewhere stands what the first person decided."""
        return self.queue is not None and self.queue.hides_decisions

    @property
    def back_to(self) -> str:
        """What escape returns to, in words; '' when it returns nowhere."""
        if self._before is None:
            return ""
        _, queue = self._before
        return one_line(queue.name) if queue is not None else "the list"

    def narrow(self, view: View) -> None:
        """Another filter; out of a queue, until escape."""
        if self.queue is not None:
            self._remember()
        self.view, self.queue = view, None

    def twins(self, cluster: int) -> None:
        """One cluster of near-duplicates, until escape."""
        self._remember()
        self.view, self.queue = View().narrowed(cluster=cluster), None

    def work_on(self, queue: Queue | None) -> None:
        """This queue; None: the list behind the one there is."""
        self.queue, self._before = queue, None

    def searched(self, words: str) -> bool:
        """Look for these words; False when that shows nothing else."""
        view = self.view.search(words)
        if view == self.view or (self.queue is not None and not words.strip()):
            return False
        self.narrow(view)
        return True

    def end_search(self) -> bool:
        """Without the words; back, where only they led here. False when nothing else is shown."""
        if self._before is not None and self.view.search("") == self._before[0].search(""):
            return self.back()
        return self.searched("")

    def back(self) -> bool:
        """What escape does: go back, else without the words, else without the filter. False: nothing is left to do."""
        if self._before is not None:
            (self.view, self.queue), self._before = self._before, None
            return True
        if self.queue is not None or self.view == View():
            return False
        if not (self.view.filter.text and self.searched("")):
            self.view = View()
        return True

    def _remember(self) -> None:
        self._before = self._before or (self.view, self.queue)
