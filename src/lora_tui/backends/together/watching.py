"""Following a job: its events and metrics into the journal as they come, until it has ended or is asked to."""

from __future__ import annotations

import time
from typing import Any

from lora_tui.backends.together.client import PEER, ServiceError, asking, plain
from lora_tui.backends.together.pricing import WHAT
from lora_tui.backends.together.status import ENDED, Status, status_of
from lora_tui.backends.together.stay import Stay, StopAsked, pause
from lora_tui.backends.together.told import Place, measured, started, translated
from lora_tui.jobs import journal
from lora_tui.jobs.supervisor import STOP

_TOO_LATE = (400, 409, 422)  # how a cancel is answered that nothing comes of
_TRIES = 20  # looks in a row that may fail in passing ways
_LONGER = 60  # times the usual pause: the longest between two of them


class Watch:
    """One job of the run, watched by this process."""

    def __init__(self, stay: Stay, job: str) -> None:
        self.stay = stay
        self.job = job
        self.cancelled = False  # by us, on request
        self._looked = 0.0  # when the metrics were looked at last
        self._stage = ""

    def to_the_end(self) -> Status:
        """Follow it until it has ended. Raises ServiceError when it cannot be looked at for long; the job goes on."""
        began = time.monotonic()
        failures = 0
        while True:
            after = 0.0
            try:
                if self.stay.stop_asked() and not self.cancelled:
                    self._cancel()
                found = self.look()
                failures = 0
                if found.status in ENDED:
                    return found
            except ServiceError as error:
                failures += 1
                if not error.passing or failures >= _TRIES:
                    raise
                if failures == 1:
                    self.stay.log.write(journal.Warned(message=str(error.what), advice="Tried again.", code="service"))
                after = error.after
            usual = pause(time.monotonic() - began)
            self._rest(max(after, usual * min(2**failures, _LONGER)))

    def _rest(self, seconds: float) -> None:
        try:
            self.stay.wait(seconds, until_stop=not self.cancelled)
        except StopAsked:
            pass  # the next look cancels the job

    def look(self) -> Status:
        """Take over what is new, and what it cost once it has ended."""
        found = status_of(self.stay.client, self.job)  # first: what comes after it is then complete
        self._take_events()
        if self.stay.known.started:
            self._take_metrics(found)
        elif found.status != self._stage:
            self._stage = found.status
            self.stay.progress(f"at Together: {found.status or 'waiting'}", 0, 0)
        if found.status in ENDED:
            self._charge(found)
        return found

    def _place(self, total: int = 0) -> Place:
        known = self.stay.known
        return Place(
            job=self.job,
            model=self.stay.asked.model,
            before=known.before or 0,
            epochs=self.stay.job.profile.training.num_train_epochs,
            total=total or known.total,
        )

    def _take_events(self) -> None:
        with asking(f"the events of {self.job}"):
            listed: list[dict[str, Any]] = plain(self.stay.client.fine_tuning.list_events(self.job)).get("data") or []
            for number, event in enumerate(listed, start=1):
                if number > self.stay.known.events and (told := translated(event, number, self._place())) is not None:
                    self._write(told)
                    self.stay.known.events = number

    def _write(self, event: journal.AnyEvent) -> None:
        known = self.stay.known
        self.stay.log.write(event)
        if isinstance(event, journal.Started):
            known.started, known.total = True, event.total_steps or known.total
            before = known.before or 0  # restarted there: a reader forgets what came after, so it is told anew
            known.step, known.evaluated = min(known.step, before), min(known.evaluated, before)
        elif isinstance(event, journal.Metrics):
            known.step, known.loss = event.step, event.loss
        elif isinstance(event, journal.Evaluation):
            known.evaluated, known.eval_loss = event.step, event.eval_loss

    def _take_metrics(self, found: Status) -> None:
        known = self.stay.known
        now = time.monotonic()
        if not known.total and found.total_steps:
            self._write(started(self._place(), found.total_steps))
        with asking(f"the metrics of {self.job}"):
            first = max(1, min(known.step, known.evaluated) - (known.before or 0))
            answer = plain(self.stay.client.fine_tuning.list_metrics(self.job, global_step_from=first))
            rows: list[dict[str, Any]] = answer.get("metrics") or []
            seconds = now - self._looked if self._looked else 0.0
            for event in measured(rows, known.step, known.evaluated, self._place(), seconds):
                self._write(event)
        self._looked = now

    def _cancel(self) -> None:
        self.cancelled = True
        try:
            with asking(f"cancelling {self.job}"):
                self.stay.client.fine_tuning.cancel(self.job)
        except ServiceError as error:
            if error.status not in _TOO_LATE:
                self.cancelled = False
                raise
            (self.stay.run.folder / STOP).unlink(missing_ok=True)  # it was answered: what is paid for is fetched
            message = f"the job is not cancelled any more: {error.what}"
            self.stay.log.write(journal.Warned(message=message, advice="It is followed to its end."))
            return
        self.stay.log.write(journal.Note(message="asked Together to cancel the job; steps that are done are billed"))

    def _charge(self, found: Status) -> None:
        what = f"{WHAT} {self.job}"
        if what in self.stay.known.charged:
            return
        if found.price is None:
            message = f"Together does not say what {self.job} has cost: the estimate stands"
            self.stay.log.write(journal.Warned(message=message, advice="See Billing at api.together.ai.", code="price"))
            return
        self.stay.log.write(journal.Charged(peer=PEER, what=what, amount=found.price))
        self.stay.known.charged.add(what)
        self.stay.known.estimated = None
