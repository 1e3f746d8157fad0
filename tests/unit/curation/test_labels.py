"""Decisions, and taking them back."""

from __future__ import annotations

import sqlite3

import pytest

from lora_tui.curation import examples, labels, reading
from lora_tui.curation.filters import Filter
from lora_tui.sources.model import Message
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from stories import says, store_session, user


@pytest.fixture
def three(workspace: Workspace) -> Workspace:
    for number in (1, 2, 3):
        store_session(workspace, f"ses_{number}", [user(f"Please do task number {number}"), says(f"Did {number}.")])
    examples.refresh(workspace)
    return workspace


def decisions(workspace: Workspace) -> list[str | None]:
    return [reading.example(workspace, number).row.decision for number in (1, 2, 3)]


def test_a_decision_counts_and_undo_brings_back_the_one_before(three: Workspace) -> None:
    labels.decide(three, [1], "accept", author="ana")
    labels.decide(three, [1], "reject", author="ana", reason="wrong style")
    assert decisions(three)[0] == "reject"
    assert labels.undo(three, "ana").action == "reject"
    assert decisions(three)[0] == "accept"
    assert labels.undo(three, "ana").action == "accept"
    assert decisions(three)[0] is None
    assert labels.undo(three, "ana") is None


def test_a_bulk_decision_is_taken_back_by_one_undo(three: Workspace) -> None:
    labels.decide(three, [1, 2, 3], "accept", author="ana")
    assert decisions(three) == ["accept"] * 3
    assert labels.undo(three, "ana").ids == [1, 2, 3]
    assert decisions(three) == [None] * 3


def test_undo_takes_back_only_ones_own_decisions(three: Workspace) -> None:
    labels.decide(three, [1], "accept", author="ana")
    labels.decide(three, [2], "reject", author="ben")
    labels.undo(three, "ana")
    assert decisions(three) == [None, "reject", None]


def test_undo_of_one_example_leaves_the_rest_of_a_bulk_decision(three: Workspace) -> None:
    labels.decide(three, [1, 2, 3], "accept", author="ana")
    labels.decide(three, [3], "reject", author="ana")
    assert labels.undo(three, "ana", [2]).ids == [2]
    assert decisions(three) == ["accept", None, "reject"]
    assert labels.undo(three, "ana", [2]) is None
    labels.undo(three, "ana")
    assert labels.undo(three, "ana").ids == [1, 3]
    assert decisions(three) == [None] * 3


def test_the_persons_language_outweighs_the_machines_and_flags_toggle(three: Workspace) -> None:
    labels.decide(three, [1], "language", "ruby", author="ana")
    labels.decide(three, [1], "flag", author="ana")
    row = reading.example(three, 1).row
    assert (row.language, row.machine_language, row.flagged) == ("ruby", "none", True)
    labels.decide(three, [1], "unflag", author="ana")
    assert not reading.example(three, 1).row.flagged


def test_an_edit_lies_beside_the_original_and_undo_restores_it(three: Workspace) -> None:
    original = reading.example(three, 1).messages
    labels.edit(three, 1, [original[0], Message(role="assistant", content="Better.")], author="ana")
    edited = reading.example(three, 1)
    assert edited.row.edited
    assert edited.messages[-1].content == "Better."
    labels.undo(three, "ana")
    assert reading.example(three, 1).messages == original


def test_labels_can_neither_be_changed_nor_deleted(three: Workspace) -> None:
    labels.decide(three, [1], "accept", author="ana")
    for statement in ("UPDATE label SET action = 'reject'", "DELETE FROM label"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            three.connection().execute(statement)


def test_when_the_session_grew_the_decision_is_asked_again_and_stays_in_the_history(three: Workspace) -> None:
    labels.decide(three, [1], "accept", author="ana")
    grown = [user("Please do task number 1"), says("Did 1."), says("And more.")]
    store_session(three, "ses_1", grown, fingerprint="2")
    examples.refresh(three)
    assert decisions(three)[0] is None
    (label,) = labels.history(three, 1)
    assert label.stale


def test_an_unknown_example_is_refused_and_nothing_is_recorded(three: Workspace) -> None:
    with pytest.raises(BadInput, match="no example 99"):
        labels.decide(three, [1, 99], "accept", author="ana")
    assert decisions(three) == [None] * 3


def test_filters_follow_the_decisions(three: Workspace) -> None:
    labels.decide(three, [2], "accept", author="ana")
    assert list(examples.ids(three, examples.Filter(decision="accept"))) == [2]
    assert len(examples.ids(three, examples.Filter(decision="unlabelled"))) == 2
    assert examples.counts(three).of("accept") == 1


def test_notes_and_tags_are_kept_apart_from_the_decision_and_undo_brings_the_earlier_ones_back(
    three: Workspace,
) -> None:
    labels.decide(three, [1], "accept", author="ana")
    labels.decide(three, [1], "note", "first", author="ana")
    labels.decide(three, [1], "note", "second", author="ben")
    labels.decide_together(three, [1, 2], [("tag", "parser"), ("tag", "api"), ("untag", "old")], author="ana")
    row = reading.example(three, 1).row
    assert (row.decision, row.note, row.tags) == ("accept", "second", ("api", "parser"))
    labels.decide(three, [1], "untag", "parser", author="ben")
    assert reading.example(three, 1).row.tags == ("api",)
    labels.undo(three, "ben")
    assert reading.example(three, 1).row.tags == ("api", "parser")
    labels.undo(three, "ben")
    assert reading.example(three, 1).row.note == "first"
    labels.decide(three, [1], "note", "", author="ana")
    assert reading.example(three, 1).row.note == ""
    assert list(examples.ids(three, Filter(tags=("api",)))) == [2, 1]
    assert not len(examples.ids(three, Filter(has_note=True)))


def test_what_an_action_needs_is_asked_for_and_nothing_is_recorded(three: Workspace) -> None:
    for action, value in (("language", None), ("note", None), ("tag", ""), ("tag", "two words"), ("untag", 'a"b')):
        with pytest.raises(BadInput):
            labels.decide(three, [1], action, value, author="ana")
    assert labels.history(three, 1) == []


def test_the_latest_decision_holds_whoever_made_it_and_the_history_keeps_both(three: Workspace) -> None:
    labels.decide(three, [1], "accept", author="ana")
    labels.decide(three, [1], "reject", author="ben")
    assert decisions(three)[0] == "reject"
    assert [(label.author, label.action) for label in labels.history(three, 1)] == [
        ("ana", "accept"),
        ("ben", "reject"),
    ]
    labels.undo(three, "ben")
    assert decisions(three)[0] == "accept"


def test_a_clock_that_was_put_back_does_not_make_an_earlier_decision_win(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels.decide(three, [1], "accept", author="ana")
    monkeypatch.setattr(labels, "_now", lambda: 1_000)
    labels.decide(three, [1], "reject", author="ana")
    assert decisions(three)[0] == "reject"


def test_a_decision_about_a_whole_filter_is_shown_first_and_taken_back_by_one_undo(three: Workspace) -> None:
    labels.decide(three, [2], "reject", author="ana")
    found = labels.preview(three, Filter(text="task"), size=2)
    assert (list(found.ids), found.decided, len(found.sample)) == ([3, 2, 1], 1, 2)
    assert labels.preview(three, Filter(text="task"), size=2) == found
    labels.decide(three, found.ids, "accept", author="ana")
    assert decisions(three) == ["accept"] * 3
    labels.undo(three, "ana")
    assert decisions(three) == [None, "reject", None]


def test_undo_names_what_the_decision_was_about(three: Workspace) -> None:
    labels.decide(three, [1], "accept", author="ana", language="ruby")
    undone = labels.undo(three, "ana")
    assert undone is not None
    assert (undone.action, undone.ids) == ("accept", [1])
    assert reading.example(three, 1).row.language == "none"


def test_a_reason_is_shown_without_secrets(three: Workspace) -> None:
    token = "ghp_" + "aB3" * 12
    labels.decide(three, [1], "reject", author="ana", reason=f"it holds {token}")
    [given] = labels.history(three, 1)
    assert given.reason == "it holds <SECRET:github_pat:1>"


def test_a_secret_cannot_become_a_tag(three: Workspace) -> None:
    with pytest.raises(BadInput) as raised:
        labels.decide(three, [1], "tag", "ghp_" + "aB3" * 12, author="ana")
    assert "aB3" not in str(raised.value)
    assert reading.example(three, 1).row.tags == ()
