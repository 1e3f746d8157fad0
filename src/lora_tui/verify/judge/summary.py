"""What a judge's judgements come to, with what there is to hold against them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lora_tui.verify.judge.agreement import Agreement, agreement
from lora_tui.verify.judge.asking import same_as
from lora_tui.verify.judge.judgements import Series
from lora_tui.verify.reports.report import Report
from lora_tui.verify.votes import Tally, Vote, current, tally


class Summary(msgspec.Struct, frozen=True):
    """One judge by one rubric."""

    judge: str
    rubric: str
    agreement: Agreement  # with people; to be shown before the tally
    tally: Tally
    judged: int  # pairs, in both orders
    contradicted: int  # of these, judged differently in the two orders: ties
    to_first: int  # of the contradicted, for whichever answer stood first
    to_second: int
    not_run: int  # pairs it gave no verdict on
    why: str = ""  # not, for the first of them
    own: str = ""  # the label of the side that the judge is itself

    @property
    def order_words(self) -> str:
        """How much the order of the answers mattered to it."""
        if not self.judged:
            return "It has judged nothing."
        said = f"Asked in both orders it contradicted itself on {self.contradicted} of {self.judged} pairs"
        if not self.contradicted:
            return f"{said}."
        lean = [f"{count} times for whichever stood {place}" for count, place in self._leans if count]
        return f"{said} ({self.contradicted / self.judged:.0%}): those are ties{'; ' if lean else ''}{', '.join(lean)}."

    @property
    def _leans(self) -> tuple[tuple[int, str], ...]:
        return (self.to_first, "first"), (self.to_second, "second")


def summary(report: Report, series: Series, people: Iterable[Vote]) -> Summary:
    """Count one series, leaving out what is about answers that the report no longer has."""
    now = [item for item in series.judgements if current(report, [item.vote])]
    judged = [item for item in now if not item.not_run]
    silent = [item for item in now if item.not_run]
    cast = [item.vote for item in series.judgements if not item.not_run]  # those it leaves out are counted too
    known = [(side.label, side.endpoint, side) for side in report.sides]
    return Summary(
        judge=series.judge,
        rubric=series.rubric,
        agreement=agreement(report, people, cast),
        tally=tally(report, cast),
        judged=len(judged),
        contradicted=sum(item.contradicts for item in judged),
        to_first=sum(item.stayed == "A" for item in judged),
        to_second=sum(item.stayed == "B" for item in judged),
        not_run=len(silent),
        why=silent[0].not_run if silent else "",
        own=next((label for item in now if (label := same_as(item, item.judge, known))), ""),
    )
