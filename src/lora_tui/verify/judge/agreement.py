"""How far a judge agrees with people about the same answers: shown before anybody believes it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lora_tui.curation.agreement import kappa
from lora_tui.verify.reports.report import Report
from lora_tui.verify.votes import Vote, current, preferences

NEEDED = 10  # pairs of answers that both people and the judge have compared
MODERATE = 0.4  # the least kappa of "moderate" agreement (Landis and Koch 1977)


class Agreement(msgspec.Struct, frozen=True):
    """The judge beside people, on the pairs of answers that both compared; ties are an answer like the others."""

    both: int
    same: int
    kappa: float | None  # Cohen's; None where chance alone explains it all, or nothing is common

    @property
    def trusted(self) -> bool:
        """Whether there is reason to believe the judge."""
        return self.both >= NEEDED and self.kappa is not None and self.kappa >= MODERATE

    @property
    def verdict(self) -> str:
        """One or two sentences for people."""
        if not self.both:
            return "Not trusted yet: nobody has voted on what it judged, so nobody knows whether it agrees with people."
        share = f"it agrees with people on {self.same} of {self.both} pairs ({self.same / self.both:.0%})"
        if self.both < NEEDED:
            return f"Not trusted yet: {share}, and at least {NEEDED} that both compared are needed."
        if self.kappa is None:
            return f"Not trusted: {share}, but all the answers are the same, which tells nothing (no kappa)."
        if not self.trusted:
            return f"Not trusted: {share}, kappa {self.kappa:.2f}; below {MODERATE} that is little beyond chance."
        return f"As far as people have voted {share}, kappa {self.kappa:.2f}."


def agreement(report: Report, people: Iterable[Vote], judge: Iterable[Vote]) -> Agreement:
    """Compare a judge's votes with people's on the answers that the report has now."""
    theirs, its = preferences(current(report, people)), preferences(current(report, judge))
    pairs = [
        (_place(theirs[question], question[1]), _place(its[question], question[1])) for question in theirs.keys() & its
    ]
    return Agreement(len(pairs), sum(one == other for one, other in pairs), kappa(pairs))


def _place(side: str, sides: frozenset[str]) -> str:
    """The preference within its two sides, so that pairs of several models are on one scale."""
    return str(sorted(sides).index(side)) if side else "tie"
