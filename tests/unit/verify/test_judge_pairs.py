"""A judge that compares two answers: order must not decide, and people's votes say whether it may be believed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable

import pytest

from lora_tui.verify.asking import EndpointFault, Identity, Question
from lora_tui.verify.judge import judgements, pairwise
from lora_tui.verify.judge.agreement import agreement
from lora_tui.verify.judge.asking import Judge
from lora_tui.verify.judge.judgements import Judgement
from lora_tui.verify.judge.summary import Summary, summary
from lora_tui.verify.reports.report import Report
from lora_tui.verify.votes import Pair, Vote, of, pairs
from lora_tui.workspace.layout import Workspace
from scripted_endpoints import Scripted
from written_reports import written

Reply = Callable[[Question], str | EndpointFault]


@pytest.fixture
def report(workspace: Workspace) -> Report:
    return written(workspace, {side: [[f"{side} {number}"] for number in range(20)] for side in ("baseline", "tuned")})


def texts(question: Question) -> tuple[str, str]:
    """What stands as answer A and as answer B."""
    found = dict(re.findall(r"<<<\w+ ANSWER ([AB])\n(.*?)\nEND ANSWER", question.prompt, re.S))
    return found["A"], found["B"]


def says(better: str) -> str:
    return json.dumps({"reason": "so", "better": better})


def good(question: Question) -> str:
    """Prefers what the fine-tune says, wherever it stands."""
    return says("A" if "tuned" in texts(question)[0] else "B")


def judged(workspace: Workspace, report: Report, reply: Reply, *, people: list[Vote] | None = None) -> Summary:
    judge = Judge(Scripted("judge", reply), Identity(engine="x", model="judge"), patience=0.5)
    return by(workspace, report, judge, pairs(report, "judge"), people or [])


def by(workspace: Workspace, report: Report, judge: Judge, some: list[Pair], people: list[Vote]) -> Summary:
    asyncio.run(pairwise.compare(judge, some, lambda made: judgements.write(workspace, report.id, made)))
    (series,) = judgements.series(workspace, report.id)
    return summary(report, series, people)


def votes_for(report: Report, side: str, prompts: range, voter: str = "ann") -> list[Vote]:
    some = [pair for pair in pairs(report, voter) if pair.prompt in prompts]
    return [of(pair, "first" if pair.first == side else "second", voter) for pair in some]


def test_a_good_judge_is_asked_in_both_orders_and_its_choice_follows_the_answer(
    workspace: Workspace, report: Report
) -> None:
    scripted = Scripted("judge", good)
    made = by(workspace, report, Judge(scripted, Identity(engine="x", model="j")), pairs(report, "judge"), [])
    assert len(scripted.asked) == 40
    orders = {texts(question) for question in scripted.asked}
    assert all((second, first) in orders for first, second in orders)
    assert (made.judged, made.contradicted, made.tally.test.tuned, made.tally.test.ties) == (20, 0, 20, 0)
    assert "contradicted itself on 0 of 20" in made.order_words


@pytest.mark.parametrize(("place", "leans"), [("A", (20, 0)), ("B", (0, 20))])
def test_a_judge_that_chooses_by_place_judges_nothing_but_ties(
    workspace: Workspace, report: Report, place: str, leans: tuple[int, int]
) -> None:
    made = judged(workspace, report, lambda question: says(place))
    assert (made.tally.test.tuned, made.tally.test.baseline, made.tally.test.ties) == (0, 0, 20)
    assert (made.judged, made.contradicted, made.to_first, made.to_second) == (20, 20, *leans)
    assert "on 20 of 20 pairs (100%)" in made.order_words
    assert made.tally.test.verdict.startswith("Too few votes")


def test_a_tie_in_one_order_is_a_tie_and_a_contradiction_without_a_lean(workspace: Workspace, report: Report) -> None:
    made = judged(workspace, report, lambda question: says("tie") if "tuned" in texts(question)[0] else good(question))
    assert (made.tally.test.ties, made.contradicted, made.to_first, made.to_second) == (20, 20, 0, 0)
    honest = judged(workspace, report, lambda question: says("tie"))
    assert (honest.tally.test.ties, honest.contradicted) == (20, 0)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (lambda question: "The first one.", "no verdict"),
        (lambda question: EndpointFault("refused", "no credit left"), "no credit left"),
    ],
)
def test_a_judge_without_verdicts_has_no_tally(workspace: Workspace, report: Report, reply: Reply, why: str) -> None:
    made = judged(workspace, report, reply)
    assert (made.judged, made.not_run, made.tally.votes) == (0, 20, 0)
    assert why in made.why


def test_a_verdict_in_one_order_alone_counts_for_nobody(workspace: Workspace, report: Report) -> None:
    made = judged(workspace, report, lambda question: good(question) if "tuned" in texts(question)[0] else "hm")
    assert (made.judged, made.not_run) == (0, 20)


def test_an_interrupted_judge_goes_on_where_it_was(workspace: Workspace, report: Report) -> None:
    some = pairs(report, "judge")
    identity = Identity(engine="x", model="j", digest="d1")
    by(workspace, report, Judge(Scripted("judge", good), identity), some[:7], [])
    (series,) = judgements.series(workspace, report.id)
    left = judgements.missing(some, series.judgements, "d1")
    assert [pair.prompt for pair in left] == [pair.prompt for pair in some[7:]]
    assert len(judgements.missing(some, series.judgements, "d2")) == 20  # other weights
    made = by(workspace, report, Judge(Scripted("judge", good), identity), left, [])
    assert made.judged == 20


def test_what_could_not_be_judged_is_asked_again_and_does_not_undo_what_was(
    workspace: Workspace, report: Report
) -> None:
    broken = EndpointFault("refused", "no")
    judged(workspace, report, lambda question: broken if "tuned 3" in "".join(texts(question)) else good(question))
    (series,) = judgements.series(workspace, report.id)
    left = judgements.missing(pairs(report, "judge"), series.judgements, "")
    assert [pair.prompt for pair in left] == [3]
    made = judged(workspace, report, lambda question: broken)
    assert (made.judged, made.not_run) == (19, 1)


def test_judgements_of_answers_asked_again_since_are_left_out(workspace: Workspace, report: Report) -> None:
    judged(workspace, report, good)
    new = {side: [[f"{side} {number if number > 4 else 'anew'}"] for number in range(20)] for side in report.tallies}
    again = written(workspace, new)
    (series,) = judgements.series(workspace, report.id)
    made = summary(again, series, [])
    assert (made.judged, made.tally.test.tuned) == (15, 15)


@pytest.mark.parametrize(
    ("people", "words", "trusted"),
    [
        (range(0), "nobody has voted", False),
        (range(4), "agrees with people on 4 of 4 pairs (100%), and at least 10", False),
        (range(20), "all the answers are the same", False),
    ],
)
def test_a_judge_is_not_believed_before_enough_people_have_voted(
    workspace: Workspace, report: Report, people: range, words: str, trusted: bool
) -> None:
    made = judged(workspace, report, good, people=votes_for(report, "tuned", people))
    assert words in made.agreement.verdict
    assert made.agreement.trusted is trusted
    assert made.agreement.verdict.startswith("Not trusted")


def test_agreement_is_cohens_kappa_over_what_both_compared(workspace: Workspace, report: Report) -> None:
    """10 for the fine-tune and 6 for the baseline alike, 4 not: po = .8, pe = .6 * .6 + .4 * .4 = .52."""
    people = votes_for(report, "tuned", range(12)) + votes_for(report, "baseline", range(12, 20))
    its = votes_for(report, "tuned", range(2, 14), "judge")
    its += votes_for(report, "baseline", range(2), "judge") + votes_for(report, "baseline", range(14, 20), "judge")
    found = agreement(report, people, its)
    assert (found.both, found.same) == (20, 16)
    assert found.kappa == pytest.approx((0.8 - 0.52) / 0.48)
    assert found.trusted
    assert "on 16 of 20 pairs (80%), kappa 0.58" in found.verdict


def test_a_judge_that_agrees_no_more_than_chance_is_not_believed(workspace: Workspace, report: Report) -> None:
    people = votes_for(report, "tuned", range(10)) + votes_for(report, "baseline", range(10, 20))
    its = votes_for(report, "tuned", range(5, 15), "judge") + votes_for(report, "baseline", range(5), "judge")
    its += votes_for(report, "baseline", range(15, 20), "judge")
    found = agreement(report, people, its)
    assert (found.both, found.same, found.kappa) == (20, 10, pytest.approx(0))
    assert found.verdict.startswith("Not trusted: it agrees")


def test_half_a_line_of_a_crash_costs_one_judgement(workspace: Workspace, report: Report) -> None:
    made = Judgement(prompt=0, first="tuned", second="baseline", judge="j", rubric="r", forward="A", backward="B")
    judgements.write(workspace, report.id, made)
    path = workspace.reports / report.id / "judgements.jsonl"
    with path.open("a") as file:
        file.write('{"prompt": 1, "fir')
    judgements.write(workspace, report.id, Judgement(prompt=2, first="tuned", second="baseline", judge="j", rubric="r"))
    (series,) = judgements.series(workspace, report.id)
    assert [item.prompt for item in series.judgements] == [0, 2]
    assert series.judgements[0].vote.preferred == "tuned"
