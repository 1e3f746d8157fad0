"""Frozen queues: what they ask, what they ask again, and where one is after coming back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lora_tui.curation import examples, labels, queues, reading
from lora_tui.curation.filters import Filter
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from stories import says, store_session, user

Fill = Callable[[int], Workspace]


@pytest.fixture
def fill(workspace: Workspace) -> Fill:
    """A workspace with this many examples."""

    def filled(number: int) -> Workspace:
        for place in range(1, number + 1):
            told = [user(f"Please do task number {place} now"), says(f"Did {place}.")]
            store_session(workspace, f"ses_{place}", told, created=1_790_000_000_000 + place * 1000)
        examples.refresh(workspace)
        return workspace

    return filled


UNLABELLED = Filter(decision="unlabelled")


def test_a_queue_keeps_its_list_while_decisions_change_what_the_filter_finds(fill: Fill) -> None:
    workspace = fill(5)
    queue = queues.create(workspace, "morning", UNLABELLED, author="ana")
    before = list(queues.ids(workspace, queue))
    assert before == [5, 4, 3, 2, 1]
    queues.decide(workspace, queue, 0, "accept")
    queues.decide(workspace, queue, 1, "reject", seconds=2.5)
    assert list(queues.ids(workspace, queue)) == before
    assert list(examples.ids(workspace, UNLABELLED)) == [3, 2, 1]
    queue = queues.open(workspace, "morning", "ana")
    assert (queue.total, queue.done, queue.left) == (5, 2, 3)
    assert labels.history(workspace, 4)[0].seconds == 2.5


def test_coming_back_goes_on_where_one_was_and_a_full_round_finds_what_was_passed_over(fill: Fill) -> None:
    workspace = fill(4)
    queue = queues.create(workspace, "q", UNLABELLED, author="ana")
    for position in (0, 2):
        queues.decide(workspace, queue, position, "accept")
    workspace.close()  # another process opens it
    queue = queues.open(workspace, "q", "ana")
    assert queues.next_position(workspace, queue) == 1
    assert queues.next_position(workspace, queue, after=1) == 3
    queues.decide(workspace, queue, 3, "skip")
    assert queues.next_position(workspace, queue, after=3) == 1
    queues.decide(workspace, queue, 1, "accept")
    assert queues.next_position(workspace, queue, after=1) is None


def test_undo_opens_the_question_again_and_names_its_place(fill: Fill) -> None:
    workspace = fill(3)
    queue = queues.create(workspace, "q", UNLABELLED, author="ana")
    queues.decide(workspace, queue, 0, "accept")
    queues.decide(workspace, queue, 1, "accept", language="ruby")
    undone = labels.undo(workspace, "ana")
    assert undone is not None
    assert undone.positions == [(queue.id, 1)]
    assert queues.next_position(workspace, queue) == 1
    row = reading.example(workspace, 2).row
    assert (row.decision, row.language) == (None, "none")


def test_undoing_a_second_thought_leaves_the_first_answer_and_the_question_closed(fill: Fill) -> None:
    workspace = fill(2)
    queue = queues.create(workspace, "q", UNLABELLED, author="ana")
    queues.decide(workspace, queue, 0, "accept")
    queues.decide(workspace, queue, 0, "reject")
    labels.undo(workspace, "ana")
    assert reading.example(workspace, 2).row.decision == "accept"
    assert queues.items(workspace, queue)[0].done
    labels.undo(workspace, "ana")
    assert not queues.items(workspace, queue)[0].done


def test_flags_notes_and_languages_leave_the_question_open(fill: Fill) -> None:
    workspace = fill(1)
    queue = queues.create(workspace, "q", author="ana")
    queues.decide(workspace, queue, 0, "flag")
    queues.decide(workspace, queue, 0, "note", "look at the tests")
    queues.decide(workspace, queue, 0, "language", "ruby")
    assert queues.next_position(workspace, queue) == 0
    assert reading.example(workspace, 1).row.note == "look at the tests"


def test_what_was_decided_elsewhere_is_not_asked_but_another_persons_decision_only_leaves_the_filter(
    fill: Fill,
) -> None:
    workspace = fill(4)
    queue = queues.create(workspace, "q", UNLABELLED, author="ana")
    labels.decide(workspace, [4], "accept", author="ana")
    labels.decide(workspace, [3], "reject", author="ben")
    queue = queues.open(workspace, "q", "ana")
    assert (queue.done, queues.left_filter(workspace, queue)) == (1, 1)
    assert queues.next_position(workspace, queue) == 1
    labels.undo(workspace, "ana")
    labels.undo(workspace, "ben")
    queue = queues.open(workspace, "q", "ana")
    assert (queue.done, queues.left_filter(workspace, queue)) == (0, 0)


def test_some_earlier_decisions_are_asked_again_unseen_and_never_at_the_start(fill: Fill) -> None:
    workspace = fill(120)
    labels.decide(workspace, range(1, 21), "accept", author="ana")
    labels.decide(workspace, range(21, 41), "accept", author="ben")
    queue = queues.create(workspace, "q", UNLABELLED, author="ana", repeats=0.1)
    asked = queues.items(workspace, queue)
    again = [item for item in asked if item.again]
    assert (queue.total, queue.repeated) == (88, 8)
    assert all(item.hidden and item.example_id <= 20 and item.position >= 10 for item in again)
    assert not any(item.hidden for item in asked if not item.again)
    fresh = [item.example_id for item in asked if not item.again]
    assert fresh == list(examples.ids(workspace, UNLABELLED))


def test_a_repeated_question_is_answered_in_its_queue_alone(fill: Fill) -> None:
    workspace = fill(31)
    labels.decide(workspace, [1], "accept", author="ana")
    queue = queues.create(workspace, "q", UNLABELLED, author="ana", repeats=0.04)
    (again,) = [item for item in queues.items(workspace, queue) if item.again]
    labels.decide(workspace, [1], "accept", author="ana")
    assert not queues.items(workspace, queue, again.position, 1)[0].done
    queues.decide(workspace, queue, again.position, "reject")
    assert queues.items(workspace, queue, again.position, 1)[0].done
    assert [label.again for label in labels.history(workspace, 1)] == [False, False, True]


def test_a_second_opinion_is_asked_about_what_the_first_decided_unseen(fill: Fill) -> None:
    workspace = fill(40)
    labels.decide(workspace, range(1, 36), "accept", author="ana")
    labels.decide(workspace, [1, 2], "reject", author="ben")
    queue = queues.create_overlap(workspace, "second", "ana", author="ben", number=30)
    asked = queues.items(workspace, queue)
    assert len(asked) == 30
    assert all(item.hidden and 3 <= item.example_id <= 35 for item in asked)
    assert not any(item.again for item in asked)
    with pytest.raises(BadInput, match="second person"):
        queues.create_overlap(workspace, "own", "ana", author="ana")
    with pytest.raises(BadInput, match="decided about nothing"):
        queues.create_overlap(workspace, "none", "carl", author="ana")


def test_a_queue_at_random_is_the_same_for_the_same_name(fill: Fill) -> None:
    workspace = fill(30)
    orders = []
    for _ in range(2):
        queue = queues.create(workspace, "q", order="random", author="ana", limit=10)
        orders.append(list(queues.ids(workspace, queue)))
        queues.remove(workspace, "q", "ana")
    assert orders[0] == orders[1] != sorted(orders[0])
    other = queues.create(workspace, "other", order="random", author="ana", limit=10)
    assert list(queues.ids(workspace, other)) != orders[0]


def test_what_is_no_candidate_any_more_is_not_asked(fill: Fill) -> None:
    workspace = fill(2)
    queue = queues.create(workspace, "q", author="ana")
    workspace.connection().execute("UPDATE example SET dropped = 'withdrawn' WHERE id = 2")
    assert queues.next_position(workspace, queue) == 1
    assert queues.left_filter(workspace, queue) == 0
    queue = queues.open(workspace, "q", "ana")
    assert (queue.gone, queue.left) == (1, 1)
    assert [item.gone for item in queues.items(workspace, queue)] == [True, False]


def test_a_taken_or_impossible_name_and_an_empty_filter_are_refused(fill: Fill) -> None:
    workspace = fill(1)
    queues.create(workspace, "q", author="ana")
    queues.create(workspace, "q", author="ben")  # everybody has their own
    for name, filter, match in (
        ("q", Filter(), "already"),
        ("a b", Filter(), "cannot be"),
        ("x", Filter(decision="accept"), "no example"),
    ):
        with pytest.raises(BadInput, match=match):
            queues.create(workspace, name, filter, author="ana")
    with pytest.raises(BadInput, match="no queue"):
        queues.open(workspace, "nothing", "ana")
    queues.remove(workspace, "q", "ana")
    assert [queue.author for queue in queues.listed(workspace)] == ["ben"]


def test_a_secret_cannot_become_the_name_of_a_queue(fill: Fill) -> None:
    with pytest.raises(BadInput) as raised:
        queues.create(fill(3), "ghp_" + "aB3" * 12, author="ana")
    assert "aB3" not in str(raised.value)


def test_proposed_examples_are_asked_in_their_order_with_the_reason_and_nothing_is_decided(fill: Fill) -> None:
    workspace = fill(4)
    reasons = {2: "mentions tokio", 4: "mentions serde"}
    queue = queues.create_proposed(workspace, "lessons", reasons, author="ana", filter=UNLABELLED)
    assert (queue.total, queue.done, queue.order) == (2, 0, queues.PROPOSED)
    workspace.close()
    asked = queues.items(workspace, queues.open(workspace, "lessons", "ana"))
    assert [(item.example_id, item.reason) for item in asked] == list(reasons.items())
    assert examples.counts(workspace).of("unlabelled") == 4
    queues.decide(workspace, queue, 0, "accept")
    assert queues.next_position(workspace, queue) == 1
    with pytest.raises(BadInput, match="nothing to propose"):
        queues.create_proposed(workspace, "none", {}, author="ana")
    with pytest.raises(BadInput, match="already"):
        queues.create_proposed(workspace, "lessons", reasons, author="ana")
