"""What ends the work on a machine: a person's wish, the end of its hours, that it is gone."""

from __future__ import annotations

import time

from lora_tui.backends.rented.machine import GoesOn, Reached
from lora_tui.backends.rented.wishes import Wishes
from lora_tui.jobs import journal
from lora_tui.workspace.errors import LoraTuiError

_ANSWER_SECONDS = 300.0  # that a machine may take until its SSH server answers
_STOP_SECONDS = 60.0  # that a stop waits for a connection
_LOOK_SECONDS = 60.0  # between two questions to its provider
_MARGIN, _LAST_PART = 600.0, 0.1  # seconds before the deadline, or this part of the time: to stop and bring things back


class Ended(Exception):
    """Asked to stop where nothing works there, or where what works there goes with its machine."""


class Limits:
    """Of one start of a run. `overdue`: the run was asked to stop as its machine's hours are nearly over."""

    def __init__(self, reached: Reached, wishes: Wishes, log: journal.Journal) -> None:
        self.overdue = False
        self.working = False  # whether the run is known to work there
        self._reached = reached
        self._wishes = wishes
        self._log = log
        self._asked_at = 0.0
        self._name = reached.targets[0].name
        self._margin = min(_MARGIN, _LAST_PART * max(0.0, reached.deadline - time.time()))
        self._looked = 0.0

    def end_if_asked(self) -> None:
        """Raises Ended, where nothing works there yet, when a stop is asked for."""
        if self._wishes.stop:
            raise Ended

    @property
    def now(self) -> bool:
        """Whether it is to be ended at once: as a person asks, or as its own machine's hours are over."""
        over = self.overdue and time.monotonic() - self._asked_at > max(self._margin, _STOP_SECONDS)
        return self._wishes.now or (over and not self._reached.rented)

    def watch_clock(self) -> None:
        """Ask the run to stop in time for its machine's hours. Raises LoraTuiError where a rented one's are over."""
        deadline = self._reached.deadline
        if not deadline:
            return
        left = deadline - time.time()
        if left < 0 and self._reached.rented:
            raise LoraTuiError(
                "the machine's hours are over and the run has not stopped",
                where=self._name,
                fix="lora-tui runs resume goes on from the last checkpoint that was brought back.",
            )
        if left < self._margin and not self.overdue:
            self.overdue, self._asked_at = True, time.monotonic()
            self._wishes.ask_to_stop()
            message = "the machine's hours are nearly over: the run stops"
            self._log.write(journal.Warned(message=message, advice="runs resume goes on with it.", code="hours"))

    def give_up(self, seconds: float) -> None:
        """Raises where waiting for a connection, `seconds` so far, has no more sense."""
        if self._reached.rented and self._reached.deadline and time.time() > self._reached.deadline:
            raise LoraTuiError("the machine's hours are over, and it cannot be reached", where=self._name)
        if self._wishes.now or (self._wishes.stop and seconds > _STOP_SECONDS):
            if self._reached.rented or not (self.working or self._reached.in_use):
                raise Ended
            raise GoesOn(
                "the machine cannot be reached to stop the run, which goes on there",
                where=self._name,
                fix="lora-tui runs resume follows it again; stop it then.",
            )
        waits = self.working or self._reached.in_use
        if not waits and seconds > _ANSWER_SECONDS:
            raise LoraTuiError(f"the machine has not answered for {seconds:.0f} s", where=self._name)
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            if reason := self._reached.gone():
                raise LoraTuiError(
                    f"the machine is gone: {reason}",
                    where=self._name,
                    fix="lora-tui runs resume goes on, on another, from the last checkpoint that was brought back.",
                )
