"""What a run's journal says about the machines it has rented."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lora_tui.backends.renting.provider import PREFIX
from lora_tui.jobs import journal


def label_of(run: str) -> str:
    """The label of the machines of the run with this id."""
    return PREFIX + run


@dataclass
class Hires:
    """Machines that were rented and are not given back as far as the journal knows."""

    open: dict[str, journal.Hired] = field(default_factory=dict)  # by the provider's id
    since: dict[str, float] = field(default_factory=dict)  # when each was asked for, in epoch seconds
    asked: journal.Hiring | None = None  # one was asked for, and how that ended was never written
    in_vain: bool = False  # nothing came of one that was asked for, as far as could be seen

    @classmethod
    def of(cls, events: Iterable[journal.AnyEvent]) -> Hires:
        """Of a journal's events, in their order."""
        found = cls()
        for event in events:
            found.fold(event)
        return found

    def fold(self, event: journal.AnyEvent) -> None:
        """Take one event in."""
        match event:
            case journal.Hiring():
                self.asked = event
            case journal.Hired():
                self.open.setdefault(event.id, event)
                self.since.setdefault(event.id, self.asked.time if self.asked else event.time)
                self.asked = None
            case journal.Released(id=""):  # the provider had nothing under the label
                self.asked, self.in_vain = None, True
            case journal.Released():
                self.open.pop(event.id, None)
                self.since.pop(event.id, None)

    @property
    def is_settled(self) -> bool:
        """Whether nothing can be left with the provider."""
        return not self.open and self.asked is None

    def spent(self, identity: str, began: float, price: float, end: float) -> tuple[float, float]:
        """For how long one of `open` was had until `end`, and USD for it: what is not known is taken for the dearer.

        `began` and `price` are the provider's word, 0 where it gives none: it counts from the request then.
        """
        hired = self.open[identity]
        start = began if 0 < began <= hired.time else self.since[identity]
        seconds = max(0.0, end - start)
        return round(seconds, 1), round(seconds / 3600 * max(price, hired.price_per_hour), 6)
