"""What a run has cost elsewhere so far: machines by the hour, and what peers charge."""

from __future__ import annotations

from dataclasses import dataclass, field

from lora_tui.jobs import journal


@dataclass
class Spending:
    """Folded from the journal's `hired`, `released`, `remote` and `charged`. USD.

    An estimate counts from when a job lies with the peer until it is charged for, as "WHAT" or "WHAT ID-OF-THE-JOB".
    """

    working: dict[str, journal.Hired] = field(default_factory=dict)  # machines that cost now, by provider and id
    released: float = 0.0
    charged: float = 0.0
    estimated: dict[tuple[str, str], float] = field(default_factory=dict)  # until the peer says what it is
    jobs: dict[str, str] = field(default_factory=dict)  # id -> peer, of those that nothing was charged for yet
    any: bool = False  # whether anything was ever hired or charged

    def fold(self, event: journal.AnyEvent) -> None:
        """Take one event in."""
        match event:
            case journal.Hired() if event.price_per_hour:  # one's own machine costs nothing that is counted
                self.any = True
                self.working.setdefault(_name(event), event)
            case journal.Released():
                self.working.pop(_name(event), None)
                self.released += event.cost
            case journal.Remote(kind="job"):
                self.any = True
                if event.gone:
                    self.jobs.pop(event.id, None)
                else:
                    self.jobs[event.id] = event.peer
            case journal.Charged(estimated=True):
                self.estimated[event.peer, event.what] = event.amount
            case journal.Charged():
                self.any = True
                what, _, job = event.what.rpartition(" ")
                self.jobs.pop(job, None)
                self.estimated.pop((event.peer, event.what), None)
                self.estimated.pop((event.peer, what), None)
                self.charged += event.amount

    def so_far(self, now: float) -> float | None:
        """Until `now` (epoch seconds), estimates included; None for a run that costs nothing elsewhere."""
        if not self.any:
            return None
        working = sum(max(0.0, now - one.time) / 3600 * one.price_per_hour for one in self.working.values())
        return working + self.released + self.charged + self.expected

    @property
    def expected(self) -> float:
        """What jobs that lie with a peer now are estimated to cost in the end."""
        at_work = set(self.jobs.values())
        return sum(amount for (peer, _), amount in self.estimated.items() if peer in at_work)


def _name(event: journal.Hired | journal.Released) -> str:
    return f"{event.provider} {event.id}"
