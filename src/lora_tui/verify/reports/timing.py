"""Which answers' times are compared: those made in this run, on either side with as many others in flight.

While it is found out how many requests a server takes, and while a round begins and ends, it bears less than in the
middle. The side that is asked first bears the search alone, and is asked in two rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from lora_tui.jobs.journal import Answer
from lora_tui.verify.reports.report import BASELINE, TUNED, Outcome


def even_times(outcomes: Sequence[Outcome]) -> tuple[list[list[float]], list[list[float]]]:
    """Of each prompt the seconds of the baseline's answers and of the fine-tune's that bore the same load."""
    before, after = [], []
    for item in outcomes:
        one, other = timed(item.answers[BASELINE]), timed(item.answers[TUNED])
        both = {answer.load for answer in one} & {answer.load for answer in other}
        before.append([answer.seconds for answer in one if answer.load in both])
        after.append([answer.seconds for answer in other if answer.load in both])
    return before, after


def mean_seconds(outcomes: Sequence[Outcome], side: str) -> float | None:
    """The mean of a side's answers of this run; of the two that are compared, of those that bore the same load."""
    if side in (BASELINE, TUNED):
        found = even_times(outcomes)[side == TUNED]
        if any(found):
            return fmean(seconds for some in found for seconds in some)
    every = [answer.seconds for item in outcomes for answer in timed(item.answers[side])]
    return fmean(every) if every else None


def timed(answers: Sequence[Answer]) -> list[Answer]:
    """The answers whose times are of this run."""
    return [one for one in answers if not one.error and not one.cached and one.seconds > 0]
