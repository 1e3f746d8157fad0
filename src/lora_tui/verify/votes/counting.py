"""What votes, of people or of a judge, come to: the sign test, and a ranking where three or more models stand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from lora_tui.verify.reports.report import BASELINE, TUNED, Report
from lora_tui.verify.statistics import Ranking, Votes, bradley_terry, vote
from lora_tui.verify.votes.casting import Vote
from lora_tui.verify.votes.pairing import about

Question = tuple[int, frozenset[str]]  # a prompt, and the two sides whose answers to it were compared


class Tally(msgspec.Struct, frozen=True):
    """The votes of a report, counted."""

    test: Votes  # of tuned against baseline: each prompt once, ties out
    ranking: Ranking | None  # of three or more sides; None with two
    votes: int  # that were counted
    voters: tuple[str, ...] = ()
    bad: int = 0  # of these, for neither
    stale: int = 0  # left out: the prompt was asked again since, and its answers are others now


def tally(report: Report, votes: Iterable[Vote]) -> Tally:
    """Count votes. A prompt that several people voted on counts once, for the side that more of them prefer.

    Their votes on one prompt are no independent trials: counted singly they would make chance look like proof.
    """
    given = list(votes)
    counted = current(report, given)
    won = preferences(counted)
    between = Counter(side for (_, sides), side in won.items() if sides == {BASELINE, TUNED})
    return Tally(
        test=vote(between[BASELINE], between[TUNED], between[""]),
        ranking=bradley_terry(_wins(won)) if len(report.sides) > 2 else None,
        votes=len(counted),
        voters=tuple(sorted({item.voter for item in counted})),
        bad=sum(item.choice == "bad" for item in counted),
        stale=len(given) - len(counted),
    )


def current(report: Report, votes: Iterable[Vote]) -> list[Vote]:
    """The votes that are about answers the report has now."""
    there = [item for item in votes if item.prompt < len(report.outcomes)]
    return [item for item in there if not item.about or item.about == _about_now(report, item)]


def preferences(votes: Iterable[Vote]) -> dict[Question, str]:
    """The side that more of the votes on each prompt prefer; "" where they are even, or ties."""
    balance: dict[Question, Counter[str]] = defaultdict(Counter)
    for item in votes:
        balance[item.prompt, item.sides][item.preferred] += 1
    return {question: _more(counts, question[1]) for question, counts in balance.items()}


def _more(counts: Counter[str], sides: frozenset[str]) -> str:
    one, other = sorted(sides)
    return "" if counts[one] == counts[other] else max(one, other, key=lambda side: counts[side])


def _wins(won: Mapping[Question, str]) -> dict[tuple[str, str], float]:
    wins: dict[tuple[str, str], float] = defaultdict(float)
    for (_, sides), side in won.items():
        one, other = sorted(sides)
        wins[one, other] += 0.5 if not side else float(side == one)
        wins[other, one] += 0.5 if not side else float(side == other)
    return wins


def _about_now(report: Report, item: Vote) -> str:
    answers = report.outcomes[item.prompt].answers
    texts = [
        answer.text
        for side, sample in ((item.first, item.first_sample), (item.second, item.second_sample))
        for answer in answers.get(side, ())
        if answer.sample == sample and not answer.error
    ]
    return about(*texts) if len(texts) == 2 else ""
