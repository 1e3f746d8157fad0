"""Work over a connection that may drop: done again from its beginning until it is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lora_tui.backends.rented.connection import Connection, Dropped, Unreachable
from lora_tui.jobs import journal

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between two tries to connect


class Patience:
    """A connection's drops, told once each in the journal, where there is one to tell.

    give_up: called before each further try with the seconds since the drop; what it raises ends the waiting.
    """

    def __init__(self, connection: Connection, log: journal.Journal | None, give_up: Callable[[float], None]) -> None:
        self.connection = connection
        self.working_there = False  # whether to say that the run goes on there
        self._log = log
        self._give_up = give_up
        self._lost_at: float | None = None
        self._reached = False

    async def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work`, which may be done any number of times, until no drop comes between. Raises what it raises."""
        pause = FIRST_PAUSE
        while True:
            try:
                found = await work()
            except (Dropped, Unreachable) as error:
                self._tell_lost(error)
            else:
                self._tell_back()
                self._reached = True
                return found
            assert self._lost_at is not None
            self._give_up(time.monotonic() - self._lost_at)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _tell_lost(self, error: Exception) -> None:
        if self._lost_at is not None:
            return
        self._lost_at = time.monotonic()
        why = f": {error.what}" if isinstance(error, Unreachable) else ""
        name = self.connection.target.name
        message = f"connection to {name} lost{why}" if self._reached else f"no connection to {name} yet{why}"
        if self.working_there:
            advice = "The run goes on there; what it says is caught up with when the connection is back."
        else:
            advice = "It is tried again."
        if self._log is not None:
            self._log.write(journal.Warned(message=message, advice=advice, code="connection"))

    def _tell_back(self) -> None:
        if self._lost_at is None:
            return
        seconds = time.monotonic() - self._lost_at
        self._lost_at = None
        if self._log is not None:
            again = "again " if self._reached else ""
            name = self.connection.target.name
            self._log.write(journal.Note(message=f"connected to {name} {again}after {seconds:.0f} s"))
