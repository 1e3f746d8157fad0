"""Agreement of two people, and of one with themselves."""

from __future__ import annotations

import pytest

from lora_tui.curation import agreement, examples, labels, queues
from lora_tui.curation.filters import Filter
from lora_tui.workspace.layout import Workspace
from stories import says, store_session, user


@pytest.fixture
def forty(workspace: Workspace) -> Workspace:
    for number in range(1, 41):
        store_session(workspace, f"ses_{number}", [user(f"Please do task number {number}"), says(f"Did {number}.")])
    examples.refresh(workspace)
    return workspace


def test_kappa_is_agreement_beyond_chance() -> None:
    # 50 items: 20 both yes, 15 both no, 5 and 10 apart: observed .7, expected .5, so .4
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert agreement.kappa(pairs) == pytest.approx(0.4)
    assert agreement.kappa([("y", "n"), ("n", "y")]) == pytest.approx(-1.0)
    assert agreement.kappa([("y", "y")] * 50) is None
    assert agreement.kappa([]) is None


def test_thirty_common_examples_are_needed_and_skips_and_undone_answers_say_nothing(forty: Workspace) -> None:
    labels.decide(forty, range(1, 41), "accept", author="ana")
    labels.decide(forty, range(1, 26), "accept", author="ben")
    labels.decide(forty, range(26, 30), "reject", author="ben")
    labels.decide(forty, [30], "skip", author="ben")
    found = agreement.agreement(forty, "ana", "ben")
    assert (found.decision.both, found.decision.same, found.decision.kappa) == (29, 25, None)
    labels.decide(forty, [30], "reject", author="ben")
    labels.decide(forty, [1], "reject", author="ana")
    found = agreement.agreement(forty, "ana", "ben")
    assert found.decision.both == 30
    assert found.decision.kappa == pytest.approx((24 / 30 - (29 * 25 + 5) / 900) / (1 - (29 * 25 + 5) / 900))
    assert [(item.id, item.first, item.second) for item in found.disagreements][:2] == [
        (1, "reject", "accept"),
        (26, "accept", "reject"),
    ]
    labels.undo(forty, "ana")
    assert agreement.agreement(forty, "ana", "ben").decision.same == 25
    assert agreement.authors(forty) == ["ana", "ben"]


def test_languages_are_compared_too(forty: Workspace) -> None:
    labels.decide(forty, range(1, 31), "language", "ruby", author="ana")
    labels.decide(forty, range(1, 16), "language", "ruby", author="ben")
    labels.decide(forty, range(16, 31), "language", "rust", author="ben")
    scale = agreement.agreement(forty, "ana", "ben").language
    assert (scale.both, scale.same, scale.kappa) == (30, 15, 0.0)


def test_decisions_about_another_content_are_not_compared(forty: Workspace) -> None:
    labels.decide(forty, [1], "accept", author="ana")
    grown = [user("Please do task number 1"), says("Did 1."), says("And more.")]
    store_session(forty, "ses_1", grown, fingerprint="2")
    examples.refresh(forty)
    labels.decide(forty, [1], "reject", author="ben")
    assert agreement.agreement(forty, "ana", "ben").decision.both == 0


def test_repeated_questions_measure_ones_own_consistency(forty: Workspace) -> None:
    labels.decide(forty, range(1, 5), "accept", author="ana")
    queue = queues.create(forty, "q", Filter(decision="unlabelled"), author="ana", repeats=0.1)
    again = [item for item in queues.items(forty, queue) if item.again]
    assert len(again) == 4
    assert agreement.consistency(forty, "ana").share is None
    for item, answer in zip(again, ("accept", "accept", "reject", "skip"), strict=True):
        queues.decide(forty, queue, item.position, answer)
    found = agreement.consistency(forty, "ana")
    assert (found.asked, found.same, found.share) == (3, 2, pytest.approx(2 / 3))
    labels.undo(forty, "ana")
    labels.undo(forty, "ana")
    assert agreement.consistency(forty, "ana").share == 1.0
