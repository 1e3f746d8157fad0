"""Labels that leave the workspace and come back, here or elsewhere."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_tui.curation import agreement, examples, labels, reading
from lora_tui.curation.label_exchange import exported, import_labels
from lora_tui.sources.model import Message
from lora_tui.workspace.layout import Workspace
from stories import says, store_session, user

SECRET = "ghp_" + "aB3" * 12


def fill(workspace: Workspace, number: int = 3, source: str = "") -> Workspace:
    for place in range(1, number + 1):
        told = [user(f"Please do task number {place} now"), says(f"Did {place}.")]
        store_session(workspace, f"ses_{place}{source}", told)
    examples.refresh(workspace)
    return workspace


@pytest.fixture
def here(workspace: Workspace) -> Workspace:
    return fill(workspace)


@pytest.fixture
def there(tmp_path: Path) -> Workspace:
    return fill(Workspace(tmp_path / "there"))


def lines(workspace: Workspace, author: str = "") -> list[bytes]:
    return [msgspec.json.encode(row) for row in exported(workspace, author)]


def state(workspace: Workspace) -> list[tuple[object, ...]]:
    rows = examples.rows(workspace, sorted(examples.ids(workspace)))
    return [(row.session, row.decision, row.language, row.flagged, row.edited, row.tags, row.note) for row in rows]


def test_another_workspace_comes_to_the_same_state_and_twice_adds_nothing(here: Workspace, there: Workspace) -> None:
    labels.decide(here, [1, 2], "accept", author="ana", seconds=3.5, reason="fine", language="ruby")
    labels.decide_together(here, [2], [("tag", "a"), ("tag", "b"), ("note", "see tests"), ("flag", None)], author="ben")
    labels.edit(here, 3, [user("Please do it"), Message(role="assistant", content="Better.")], author="ana")
    labels.decide(here, [1], "reject", author="ana")
    labels.undo(here, "ana")
    done = import_labels(there, lines(here))
    assert (done.added, done.known, done.examples) == (11, 0, 3)
    assert state(there) == state(here)
    assert labels.history(there, 1) == labels.history(here, 1)
    again = import_labels(there, lines(here))
    assert (again.added, again.known) == (0, 11)
    assert labels.undo(there, "ana").ids == [3]


def test_the_later_decision_holds_when_the_labels_of_two_people_meet(here: Workspace, there: Workspace) -> None:
    labels.decide(here, [1], "accept", author="ana")
    time.sleep(0.002)  # their clocks count milliseconds
    labels.decide(there, [1], "reject", author="ben")  # later
    import_labels(there, lines(here))
    import_labels(here, lines(there))
    assert reading.example(here, 1).row.decision == reading.example(there, 1).row.decision == "reject"
    assert agreement.agreement(there, "ana", "ben").decision.both == 1
    assert [row.author for row in exported(here, "ben")] == ["ben"]


def test_the_same_conversation_is_found_by_its_content_when_it_came_another_way(
    here: Workspace, tmp_path: Path
) -> None:
    labels.decide(here, [2], "accept", author="ana")
    copy = fill(Workspace(tmp_path / "copy"), source="-copy")
    assert import_labels(copy, lines(here)).examples == 1
    assert reading.example(copy, 2).row.decision == "accept"


def test_what_is_not_here_and_what_cannot_be_read_is_listed_and_the_rest_comes_in(
    here: Workspace, tmp_path: Path
) -> None:
    labels.decide(here, [1, 2, 3], "accept", author="ana")
    few = fill(Workspace(tmp_path / "few"), number=1)
    good = lines(here)
    row = msgspec.json.decode(good[0])
    bad = [
        b"{",
        b"\xff\xfe",
        msgspec.json.encode(row | {"action": "explode"}),
        msgspec.json.encode(row | {"action": "language"}),
        msgspec.json.encode(row | {"action": "tag", "value": 'a"b'}),
        msgspec.json.encode(row | {"action": "undo"}),
        msgspec.json.encode(row | {"action": "edit"}),
        msgspec.json.encode(row | {"at": "yesterday"}),
        msgspec.json.encode(row | {"batch": ""}),
    ]
    done = import_labels(few, [*bad, b"\n", *good])
    assert (done.rows, done.added) == (12, 1)
    assert [problem.line for problem in done.wrong] == list(range(1, 10))
    assert [problem.line for problem in done.unknown] == [12, 13]
    fill(few)
    assert import_labels(few, good).added == 2


def test_a_label_for_an_earlier_content_comes_in_as_history(here: Workspace, there: Workspace) -> None:
    labels.decide(here, [1], "accept", author="ana")
    store_session(there, "ses_1", [user("Please do task number 1 now"), says("Did 1."), says("More.")], fingerprint="2")
    examples.refresh(there)
    done = import_labels(there, lines(here))
    assert (done.added, done.other_content) == (1, 1)
    assert reading.example(there, 1).row.decision is None
    assert labels.history(there, 1)[0].stale


def test_no_secret_leaves_in_a_note_a_reason_or_an_edit(here: Workspace) -> None:
    labels.decide(here, [1], "note", f"uses {SECRET}", author="ana", reason=f"it has {SECRET}")
    labels.edit(here, 2, [user("Please"), Message(role="assistant", content=f"token {SECRET}")], author="ana")
    written = b"\n".join(lines(here))
    assert SECRET.encode() not in written
    assert written.count(b"<SECRET:") == 3
    assert import_labels(here, written.splitlines()).known == 2  # what was hidden makes no second label


ACTIONS = st.sampled_from(["accept", "reject", "skip", "flag", "unflag", "undo", "tag", "untag", "note", "language"])


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(st.tuples(ACTIONS, st.integers(1, 3), st.sampled_from(["ana", "ben"])), max_size=25))
def test_whatever_was_decided_a_second_workspace_comes_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("pair")
    one, other = fill(Workspace(folder / "one")), fill(Workspace(folder / "other"))
    values = {"tag": "t", "untag": "t", "note": "n", "language": "ruby"}
    for action, identity, author in steps:
        if action == "undo":
            labels.undo(one, author)
        else:
            labels.decide(one, [identity], action, values.get(action), author=author)
    import_labels(other, lines(one))
    assert state(other) == state(one)
    assert lines(other) == lines(one)
    one.close()
    other.close()


@pytest.mark.parametrize("at", [-1, 2**63 - 1, 2**63, 2**64])
def test_a_label_from_an_impossible_time_is_listed_and_the_rest_counts(
    here: Workspace, there: Workspace, at: int
) -> None:
    labels.decide(here, [1], "accept", author="ana")
    labels.decide(here, [2], "accept", author="ana")
    first, second = (msgspec.json.decode(line) for line in lines(here))
    done = import_labels(there, [msgspec.json.encode(first | {"at": at}), msgspec.json.encode(second)])
    assert (done.added, [problem.line for problem in done.wrong]) == (1, [1])
    labels.decide(there, [1], "skip", author="ana")
    assert reading.example(there, 1).row.decision == "skip"


def test_two_decisions_of_the_same_moment_come_to_the_same_on_both_machines(
    here: Workspace, there: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "_now", lambda: 1_790_000_000_000)
    for _ in range(5):
        labels.decide(here, [1], "accept", author="ana")
        labels.decide(there, [1], "reject", author="ben")
    from_here, from_there = lines(here), lines(there)
    import_labels(there, from_here)
    import_labels(here, from_there)
    assert reading.example(here, 1).row.decision == reading.example(there, 1).row.decision
    labels.decide(here, [1], "skip", author="ana")
    assert reading.example(here, 1).row.decision == "skip"


@pytest.mark.parametrize("tag", [SECRET, f"not one word {SECRET}"])
def test_a_tag_with_a_secret_is_not_taken_in_and_not_repeated(here: Workspace, there: Workspace, tag: str) -> None:
    labels.decide(here, [1], "tag", "good", author="ana")
    [row] = [msgspec.json.decode(line) for line in lines(here)]
    done = import_labels(there, [msgspec.json.encode(row | {"value": tag})])
    assert (done.added, len(done.wrong)) == (0, 1)
    assert SECRET not in str(done)
