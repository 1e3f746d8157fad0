"""A machine for as long as a run needs it: rented within its price, found again after a crash, always given back.

The journal is the only memory. `Hiring` is written before anything is asked for, `Hired` as soon as the id is known,
`Released` when the provider says that the machine is gone; one without an id says that nothing came of a `Hiring`.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

import msgspec

from lora_tui.backends.renting.dead_man import GRACE_HOURS, dead_man
from lora_tui.backends.renting.giving_back import BY_HAND, give_back
from lora_tui.backends.renting.hires import Hires, label_of
from lora_tui.backends.renting.provider import Machine, Offer, Provider, Wanted, provider
from lora_tui.backends.renting.rest import NoAnswer, Refused
from lora_tui.backends.signals import ended_by, undisturbed
from lora_tui.jobs import journal
from lora_tui.jobs.job import Box
from lora_tui.workspace.errors import LoraTuiError

NOT_CONFIRMED = "box"  # code of the warning about a machine that may still be there
DEFAULT_HOURS = 24.0  # where the job sets no limit
_MACHINES, _OFFERS = 3, 8  # how many are rented, one after another, until one runs; how many are asked for
_START_SECONDS = 900.0  # in which a machine must run
_LOOK_SECONDS = 5.0
_ROUNDING = 1.001  # of a price


class StopAsked(Exception):
    """The person asked the run to stop before it had a machine."""


@contextlib.contextmanager
def leased(
    log: journal.Journal,
    box: Box,
    run: str,
    public_key: str,
    *,
    wanted: Wanted | None = None,
    stop_asked: Callable[[], bool] = lambda: False,
    source: Provider | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Machine]:
    """A running machine of `box.provider` for the run with this id; given back however the block is left.

    One that the run's journal (that of `log`) knows, or that has the run's label, is taken before another is rented.
    `wanted` refines what `box` says (memory, disk, nodes). The machine's `until` is when its hours are over: it is
    ended then, whatever the block does, and the block's error becomes one that says so. SIGTERM leaves the block as
    SystemExit where the process does not handle it otherwise. Raises StopAsked, and LoraTuiError where no machine is to
    be had.
    """
    lease = _Lease(log, box, run, public_key, wanted or Wanted(), source or provider(box.provider), clock, sleep)
    with ended_by(signal.SIGTERM):
        try:
            machine = lease.machine(stop_asked)
            with lease.limited(machine):
                yield machine
        except Exception as error:
            if lease.is_over:
                raise lease.over() from error
            raise
        finally:
            with undisturbed():
                lease.release()


def given_back(
    log: journal.Journal,
    box: Box,
    run: str,
    *,
    source: Provider | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Give back what earlier processes of the run have rented, and rent nothing: its work is done.

    What cannot be confirmed to be gone is a warning in the journal. Raises LoraTuiError where the provider has no
    answer.
    """
    lease = _Lease(log, box, run, "", Wanted(), source or provider(box.provider), clock, sleep)
    with undisturbed():
        lease.found_again()
        lease.release()


class _Lease:
    """The machines of one run: at most one at a time."""

    def __init__(
        self,
        log: journal.Journal,
        box: Box,
        run: str,
        public_key: str,
        wanted: Wanted,
        source: Provider,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self.log, self.provider, self.clock, self.sleep = log, source, clock, sleep
        self.label, self.public_key = label_of(run), public_key
        self.max_price = box.max_price
        self.hours = box.max_hours or DEFAULT_HOURS
        self.wanted = msgspec.structs.replace(
            wanted, gpu=box.gpu or wanted.gpu, gpus=box.gpus, max_price=box.max_price, hours=self.hours
        )
        self.hires = Hires.of(journal.JournalReader(log.path).read())
        self.seen: dict[str, Machine] = {}  # as the provider last told of it
        self.is_over = False
        self._lock = threading.RLock()

    def say(self, event: journal.AnyEvent) -> None:
        """Write an event, and remember it: also where the disk takes no more."""
        event = msgspec.structs.replace(event, time=self.clock())
        self.hires.fold(event)
        self.log.write(event)

    # ---- having one

    def machine(self, stop_asked: Callable[[], bool]) -> Machine:
        """One that is there already, else a new one; it runs."""
        for identity in self.found_again():
            machine = self._running(identity, stop_asked)
            if machine is not None:
                return machine
        tried: list[str] = []
        rented = 0
        for offer in self._offers()[:_OFFERS]:
            if stop_asked():
                raise StopAsked
            identity = self._rented(offer, tried)
            if not identity:
                continue
            machine = self._running(identity, stop_asked)
            if machine is not None:
                return machine
            tried.append(f"{identity} did not run")
            rented += 1
            if rented == _MACHINES:
                break
        raise LoraTuiError(
            f"no machine of {self.provider.name} came to run: {'; '.join(tried)}",
            fix="Nothing is left rented. Try again, another GPU (lora-tui rented offers) or another provider.",
        )

    def found_again(self) -> list[str]:
        """What earlier processes of the run have rented and is still there, the one to go on with first."""
        if self.hires.asked is not None:
            self._settle(self._after_a_lost_answer())
        found: list[str] = []
        for identity in list(self.hires.open):
            machine = self._seen(identity)
            if machine is None:
                self._released(identity, by_itself=True)
                continue
            self.seen[identity] = machine
            usable = machine.state in ("starting", "running") and self.clock() < self._until(identity)
            if found or not usable or self._too_dear(machine):
                self.give_back(identity)
            else:
                found.append(identity)
        return found

    def _seen(self, identity: str) -> Machine | None:
        """As the provider tells of it by its id, else among all of them; None: it is gone."""
        machine = self.provider.look(identity)
        return machine or next((one for one in self.provider.all() if one.id == identity), None)

    def _settle(self, everything: list[Machine], offer: Offer | None = None) -> None:
        """How the last request ended, as what the provider has under the label tells."""
        mine = [machine for machine in everything if machine.label == self.label]
        for machine in mine:
            self._hired(machine, offer)
        if not mine:
            self.say(journal.Released(provider=self.provider.name, id=""))

    def _offers(self) -> list[Offer]:
        offers = self.provider.offers(self.wanted)
        if self.max_price:
            offers = [offer for offer in offers if offer.price_per_hour <= self.max_price * _ROUNDING]
        if not offers:
            cap = f" for at most ${self.max_price:g}/h" if self.max_price else ""
            what = f"{self.wanted.gpus}× {self.wanted.gpu or 'any GPU'}"
            raise LoraTuiError(
                f"{self.provider.name} offers no {what}{cap} now",
                fix="See what there is: lora-tui rented offers; raise --max-price or take another GPU.",
            )
        return offers

    def _rented(self, offer: Offer, tried: list[str]) -> str:
        """The id of what was rented; '' where this offer was not to be had."""
        self.say(journal.Hiring(provider=self.provider.name, label=self.label))
        switch = dead_man(self.provider.name, self.hours, self.clock())
        try:
            machine = self.provider.rent(offer, self.label, self.public_key, switch)
        except Refused as error:
            self.say(journal.Released(provider=self.provider.name, id=""))
            if error.for_good:
                raise
            tried.append(error.what)
            return ""
        except NoAnswer as error:
            self._settle(self._after_a_lost_answer(), offer)
            if not self.hires.open:
                tried.append(error.what)
            return next(iter(self.hires.open), "")
        self._hired(machine, offer)
        return machine.id

    def _after_a_lost_answer(self) -> list[Machine]:
        """What there is: looked at more than once, as a request may be carried out late."""
        for pause in (2.0, 4.0, 8.0):
            found = self.provider.all()
            if any(machine.label == self.label for machine in found):
                return found
            self.sleep(pause)
        return self.provider.all()

    def _hired(self, machine: Machine, offer: Offer | None) -> None:
        self.seen[machine.id] = machine
        name = machine.name.strip() or (offer.gpu if offer else "")
        self.say(
            journal.Hired(
                provider=self.provider.name,
                id=machine.id,
                name=name,
                price_per_hour=max(machine.price_per_hour, offer.price_per_hour if offer else 0.0),
                max_hours=self.hours,
            )
        )

    def _running(self, identity: str, stop_asked: Callable[[], bool]) -> Machine | None:
        """The machine when it runs; None, and given back, where it fails, costs too much or takes too long."""
        end = self.clock() + _START_SECONDS
        while True:
            try:
                machine = self._seen(identity)
            except NoAnswer:
                if self.clock() >= end:
                    raise
                self.sleep(_LOOK_SECONDS)
                continue
            if machine is None:
                self._released(identity, by_itself=True)
                return None
            self.seen[identity] = machine
            if machine.state in ("failed", "gone") or self._too_dear(machine) or self.clock() >= end:
                self._warn_unfit(machine)
                self.give_back(identity)
                return None
            if machine.state == "running":
                return msgspec.structs.replace(machine, until=self._until(identity))
            if stop_asked():
                raise StopAsked
            self.sleep(_LOOK_SECONDS)

    def _warn_unfit(self, machine: Machine) -> None:
        if self._too_dear(machine):
            why = f"costs ${machine.price_per_hour:g}/h, more than ${self.max_price:g}"
        elif machine.state in ("failed", "gone"):
            why = f"failed: {machine.reason or machine.state}"
        else:
            why = f"does not run after {_START_SECONDS / 60:.0f} min"
        self.say(journal.Note(message=f"{self.provider.name} machine {machine.id} {why}; it is given back"))

    def _too_dear(self, machine: Machine) -> bool:
        return bool(self.max_price) and machine.price_per_hour > self.max_price * _ROUNDING

    # ---- its hours

    def _until(self, identity: str) -> float:
        hired = self.hires.open[identity]
        began = self.seen[identity].began if identity in self.seen else 0.0
        return (began or hired.time) + self.hours * 3600

    @contextlib.contextmanager
    def limited(self, machine: Machine) -> Iterator[None]:
        """End the machine when its hours are over, whatever the block does."""
        timer = threading.Timer(max(0.0, machine.until - self.clock()), self._end_of_hours, (machine.id,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end_of_hours(self, identity: str) -> None:
        self.is_over = True
        with self._lock, contextlib.suppress(LoraTuiError):  # the journal has it
            if identity in self.hires.open:
                self.say(journal.Warned(message=f"its {self.hours:g} hours are over: the machine is given back"))
                self.give_back(identity)

    def over(self) -> LoraTuiError:
        """What to say about work that the end of the hours cut off."""
        return LoraTuiError(
            f"the machine's {self.hours:g} hours are over: it was given back",
            fix="`lora-tui runs resume` rents another and goes on from the last checkpoint that came back.",
        )

    # ---- giving it back

    def give_back(self, identity: str) -> None:
        """Until the provider says it is gone. Raises LoraTuiError, and says so in the journal, where it does not."""
        with self._lock:
            if identity not in self.hires.open:
                return
            try:
                give_back(self.provider, identity, clock=self.clock, sleep=self.sleep)
            except LoraTuiError as error:
                self.say(journal.Warned(message=error.what, advice=error.fix, code=NOT_CONFIRMED))
                raise
            self._released(identity)

    def _released(self, identity: str, by_itself: bool = False) -> None:
        """It is gone. Where it went `by_itself`, when is not known: its own switch was to end it at the latest."""
        machine = self.seen.get(identity)
        began, price = (machine.began, machine.price_per_hour) if machine else (0.0, 0.0)
        end = min(self.clock(), self._until(identity) + GRACE_HOURS * 3600) if by_itself else self.clock()
        seconds, cost = self.hires.spent(identity, began, price, end)
        self.say(journal.Released(provider=self.provider.name, id=identity, seconds=seconds, cost=cost))

    def release(self) -> None:
        """Give back everything this run has, also what it may have without knowing."""
        if self.hires.asked is not None:
            try:
                self._settle(self._after_a_lost_answer())
            except LoraTuiError as error:
                self.say(
                    journal.Warned(
                        message=f"whether {self.provider.name} has a machine labelled {self.label} is not known: "
                        f"{error.what}",
                        advice=f"Look: lora-tui rented sweep, or {BY_HAND[self.provider.name]}",
                        code=NOT_CONFIRMED,
                    )
                )
        if self.hires.in_vain:
            self._find_late()
        for identity in list(self.hires.open):
            with contextlib.suppress(LoraTuiError):  # the journal has it, and the next start or sweep tries again
                self.give_back(identity)

    def _find_late(self) -> None:
        """A request without an answer may be carried out after everybody has looked."""
        with contextlib.suppress(LoraTuiError):  # a sweep finds it by its label
            for machine in self.provider.all():
                if machine.label == self.label and machine.id not in self.hires.open:
                    self._hired(machine, None)
