"""Decisions are written one after another on a thread of their own: a busy database never holds up the keys."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class Labeller:
    """A queue of writes. What was put in is written even when the app is being left meanwhile."""

    def __init__(self, failed: Callable[[Exception], object]) -> None:
        """`failed` is called on the writing thread with what went wrong."""
        self._failed = failed
        self._queue: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], object]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, write: Callable[[], Any], written: Callable[[Any], object]) -> None:
        """Run `write` after all earlier ones, then `written(result)`; both on the writing thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="labels", daemon=False)
            self._thread.start()
        self._queue.put((write, written))

    def close(self) -> None:
        """Let the thread end when everything is written."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread = None

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            write, written = item
            try:
                written(write())
            except Exception as error:
                self._failed(error)
