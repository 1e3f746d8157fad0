"""Examples that leave as JSONL and come back: nothing changes by itself, what somebody changed becomes labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lora_tui.curation import examples, labels
from lora_tui.curation.exchange import exported
from lora_tui.curation.reading import example
from lora_tui.curation.refresh import refresh
from lora_tui.curation.taking_in import TakenIn, take_in
from lora_tui.sources import read
from lora_tui.sources.ingest import ingest
from lora_tui.sources.model import About, Function, Message, TextPart, ToolCall, text_of
from lora_tui.workspace.layout import Workspace
from stories import calls, says, store_session, user

LANGUAGES = ("rust", "ruby", "python")
Row = dict[str, Any]


def write(workspace: Workspace, path: Path, change: Callable[[Row], Row] = lambda row: row) -> Path:
    """Export everything, each row through `change`."""
    rows = [msgspec.to_builtins(row) for row in exported(workspace, examples.ids(workspace)) if row]
    path.write_text("".join(json.dumps(change(row)) + "\n" for row in rows))
    return path


def take(workspace: Workspace, path: Path, **more: Any) -> TakenIn:
    return take_in(workspace, path, author="ann", languages=LANGUAGES, **more)


@pytest.fixture
def full(workspace: Workspace) -> Workspace:
    """Two examples of one session."""
    store_session(
        workspace,
        "ses_1",
        [
            user("Add a ring buffer to the crate."),
            *calls("write", {"filePath": "src/lib.rs", "content": "fn main() {}"}, "Wrote file successfully."),
            says("The buffer is there."),
            user("Now write a test for it please."),
            says("Here is the test."),
        ],
    )
    refresh(workspace)
    return workspace


def test_an_untouched_export_changes_nothing(full: Workspace, tmp_path: Path) -> None:
    done = take(full, write(full, tmp_path / "out.jsonl"))
    assert (done.rows, done.unchanged, done.sessions, done.changed, done.wrong, done.batch) == (2, 2, 0, {}, [], "")


def test_a_changed_answer_becomes_an_edit_that_keeps_what_is_known(full: Workspace, tmp_path: Path) -> None:
    def change(row: Row) -> Row:
        row["messages"][-1]["content"] = row["messages"][-1]["content"].replace("The buffer", "The ring buffer")
        return row

    path = write(full, tmp_path / "out.jsonl", change)
    assert take(full, path, dry_run=True).changed == {"edit": 1}
    assert not any(row.edited for row in examples.rows(full, examples.ids(full)))
    assert take(full, path).changed == {"edit": 1}
    (edited,) = [row for row in examples.rows(full, examples.ids(full)) if row.edited]
    messages = example(full, edited.id).messages
    assert text_of(messages[-1]) == "The ring buffer is there."
    assert messages[1].about.model == messages[-1].about.model == "lab/model"  # of the untouched, and of the changed
    assert messages[1].tool_calls[0].function.name == "write"
    assert take(full, path).unchanged == 2


def test_decisions_languages_tags_and_notes_come_in_and_one_undo_takes_all_back(
    full: Workspace, tmp_path: Path
) -> None:
    labels.decide(full, [1], "tag", "old", author="ann")

    def change(row: Row) -> Row:
        return row | {"decision": "accept", "language": "ruby", "tags": ["style"], "note": "good one"}

    done = take(full, write(full, tmp_path / "out.jsonl", change))
    assert done.changed == {"accept": 2, "language": 2, "tag": 2, "untag": 1, "note": 2}
    for row in examples.rows(full, examples.ids(full)):
        assert (row.decision, row.language, row.tags, row.note) == ("accept", "ruby", ("style",), "good one")
    undone = labels.undo(full, "ann")
    assert undone is not None
    assert undone.batch == done.batch
    rows = examples.rows(full, [1, 2])
    assert [(row.decision, row.tags, row.note) for row in rows] == [(None, ("old",), ""), (None, (), "")]


def test_what_is_absent_says_nothing(full: Workspace, tmp_path: Path) -> None:
    labels.decide(full, [1, 2], "accept", author="ann")

    def change(row: Row) -> Row:
        return {"key": row["key"], "messages": row["messages"], "decision": None}

    assert take(full, write(full, tmp_path / "out.jsonl", change)).unchanged == 2


def test_unknown_examples_become_chat_sessions_once_with_their_labels(full: Workspace, tmp_path: Path) -> None:
    path = write(full, tmp_path / "out.jsonl", lambda row: row | {"decision": "accept", "tags": ["style"]})
    other = Workspace(tmp_path / "other")
    assert take(other, path, dry_run=True).sessions == 2
    assert read.count(other) == 0
    done = take(other, path)
    assert (done.sessions, done.changed) == (2, {"accept": 2, "tag": 2})
    rows = examples.rows(other, examples.ids(other))
    assert {(row.source, row.decision, row.tags) for row in rows} == {("chat", "accept", ("style",))}
    assert {row.model for row in rows} == {"lab/model"}
    again = take(other, path)
    assert (again.sessions, again.unchanged, again.batch) == (0, 2, "")
    assert ingest(other, "chat", [path]).new == 0


def test_wrong_rows_are_named_and_the_rest_comes_in(full: Workspace, tmp_path: Path) -> None:
    path = write(full, tmp_path / "out.jsonl", lambda row: row | {"decision": "accept"})
    good = path.read_text().splitlines()
    row = json.loads(good[0])
    wrong = [
        "{",
        json.dumps({"messages": row["messages"]}),
        json.dumps(row | {"decision": "maybe"}),
        json.dumps(row | {"language": "klingon"}),
        json.dumps(row | {"tags": ["two words"]}),
        json.dumps(row | {"messages": [{"role": "user", "content": "alone"}]}),
        json.dumps(row | {"key": "gone"}),
    ]
    path.write_text("\n".join([*wrong, *good]) + "\n")
    done = take(full, path)
    assert [one.number for one in done.wrong] == [1, 2, 3, 4, 5, 6, 7]
    assert done.changed == {"accept": 2}
    reasons = " | ".join(one.reason for one in done.wrong)
    for part in ("`key`", "maybe", "klingon", "two words", "assistant message", "has changed since"):
        assert part in reasons


def test_secrets_leave_as_placeholders_and_none_comes_in_by_an_edit(workspace: Workspace, tmp_path: Path) -> None:
    secret = "ghp_" + "a1B2" * 9
    store_session(workspace, "ses_1", [user(f"Use the token {secret} for it."), says("I will use it.")])
    refresh(workspace)
    path = write(workspace, tmp_path / "out.jsonl")
    assert secret not in path.read_text()
    assert "<SECRET:github_pat:1>" in path.read_text()
    assert take(workspace, path).unchanged == 1

    def change(row: Row) -> Row:
        row["messages"][-1]["content"] = "I used ghp_" + "Z9y8" * 9
        return row

    path = write(workspace, path, change)
    assert take(workspace, path).changed == {"edit": 1}
    stored = workspace.connection().execute("SELECT value FROM label WHERE action = 'edit'").fetchone()[0]
    assert b"Z9y8" not in stored
    assert take(workspace, path).unchanged == 1


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
CALL = st.builds(ToolCall, id=TEXT, function=st.builds(Function, name=TEXT, arguments=TEXT))
ABOUT = st.builds(About, weight=st.sampled_from([None, 0, 1]), model=st.just("lab/model"))
ASKED = st.builds(
    Message,
    role=st.just("user"),
    content=TEXT.map("Please do this one thing: {}".format)
    | st.lists(st.builds(TextPart, text=TEXT), max_size=2).map(
        lambda parts: [TextPart(text="Please do this one thing:"), *parts]
    ),
    about=ABOUT,
)
ANSWERED = st.builds(
    Message,
    role=st.just("assistant"),
    content=st.none() | TEXT,
    reasoning_content=TEXT,
    tool_calls=st.lists(CALL, max_size=2),
    about=ABOUT,
)
OUTPUT = st.builds(Message, role=st.just("tool"), content=TEXT, tool_call_id=TEXT)
TURN = st.tuples(ASKED, st.lists(ANSWERED | OUTPUT, max_size=3)).map(
    lambda turn: [turn[0], *turn[1], says("Done with it.")]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(TURN, min_size=1, max_size=3))
def test_whatever_was_exported_comes_back_without_a_change(
    tmp_path_factory: pytest.TempPathFactory, turns: list[list[Message]]
) -> None:
    folder = tmp_path_factory.mktemp("exchange")
    workspace = Workspace(folder / "workspace")
    store_session(workspace, "ses_1", [message for turn in turns for message in turn])
    refresh(workspace)
    path = write(workspace, folder / "out.jsonl")
    done = take(workspace, path)
    assert (done.unchanged, done.changed, done.wrong) == (done.rows, {}, [])
    assert done.rows == len(examples.ids(workspace))
    workspace.close()
