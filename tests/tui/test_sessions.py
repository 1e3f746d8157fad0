"""Sessions: finding, reading and deciding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from on_screen import shown, text_of, until
from textual.widgets import Input

from lora_tui.curation import examples, labels, reading
from lora_tui.curation.examples import Filter
from lora_tui.tui.app import LoraTuiApp
from lora_tui.tui.screens.sessions import draft
from lora_tui.tui.screens.sessions.filters import View
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

OpenApp = Callable[..., LoraTuiApp]


def _decisions(workspace: Workspace) -> list[str | None]:
    return [row.decision for row in examples.rows(workspace, examples.ids(workspace))]


async def test_one_key_is_one_decision_and_the_next_row(open_app: OpenApp, little: Workspace) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("a", "x", "space")
        await shown(app, "4 of 9")
        await until(lambda: _decisions(little)[:3] == ["accept", "reject", "skip"])
        text = await shown(app, "·   rust")
        lines = text.splitlines()
        assert lines[2].startswith(" ✓   rust")
        assert lines[3].startswith(" ✗   rust")


async def test_time_spent_is_kept_with_the_decision(open_app: OpenApp, little: Workspace) -> None:
    app = open_app("sessions")
    first = examples.ids(little)[0]
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("a")
        await until(lambda: _decisions(little)[0] == "accept")
    label = labels.history(little, first)[-1]
    assert label.seconds is not None
    assert label.author == "someone"


async def test_undo_returns_to_the_row_and_has_no_limit(open_app: OpenApp, little: Workspace) -> None:
    app = open_app("sessions")
    before = _decisions(little)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("a", "a", "a")
        await shown(app, "4 of 9")
        for row in (3, 2, 1):
            await pilot.press("u")
            await shown(app, f"{row} of 9")
        await until(lambda: _decisions(little) == before)


async def test_digits_say_the_language(open_app: OpenApp, little: Workspace) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("3")
        await shown(app, "2 of 9")
        row = await shown(app, "own")
        assert "     python     Add a retry" in row
        assert examples.counts(little).by_language["python"]


async def test_flag_marks_and_unmarks(open_app: OpenApp, little: Workspace) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("f")
        await until(lambda: len(examples.ids(little, Filter(decision="flagged"))) == 2)
        await shown(app, "  !  rust")
        await pilot.press("k", "f")
        await until(lambda: len(examples.ids(little, Filter(decision="flagged"))) == 1)


async def test_two_quick_flags_on_the_last_row_flag_and_unflag_it(open_app: OpenApp, little: Workspace) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("G", "f", "f")
        last = examples.ids(little)[-1]
        await until(lambda: len(labels.history(little, last)) == 2)
    assert [item.action for item in labels.history(little, last)] == ["flag", "unflag"]


async def test_what_narrows_the_list_is_in_sight_at_80_columns(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("c", "slash", *"rust", "enter")
        text = await shown(app, "“rust”")
        assert View().next("confidence").words()[3][1] in text


async def test_a_labelled_row_stays_until_the_filter_is_applied_again(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("l")
        await shown(app, "1 of 7")
        await pilot.press("a")
        await shown(app, "✓   rust       Add a retry")
        await shown(app, "2 of 7")
        await pilot.press("r")
        await shown(app, "1 of 6")
        assert "Add a retry" not in text_of(app)


async def test_filters_combine_and_escape_clears_them(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("L")
        await shown(app, "any language  9")
        await pilot.press("down", "enter")
        await shown(app, "1 of 3")
        await pilot.press("l", "l")
        text = await shown(app, "1 of 1")
        assert "accepted" in text
        assert "Sum the squares" in text
        await pilot.press("escape")
        await shown(app, "of 9")


async def test_nothing_found_says_how_to_go_on(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("slash", *"zebra", "enter")
        await shown(app, "None of 9 examples passes this filter.")
        await pilot.press("a", "u", "escape")
        await shown(app, "of 9")


async def test_search_narrows_while_typing(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("slash", *"with_back")
        text = await shown(app, "1 of 1")
        assert "Add a retry" in text
        assert isinstance(app.focused, Input)
        await pilot.press("enter")
        await shown(app, "“with_back”")
        await pilot.press("escape")
        await shown(app, "of 9")


async def test_the_heaviest_evidence_is_in_sight(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)):
        await shown(app, "+10 2 edits of .rs")


async def test_the_conversation_opens_over_the_list_and_follows_the_cursor(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("enter")
        text = await shown(app, "you\n")
        assert "added by the agent program" in text
        await pilot.press("j")
        await shown(app, "v.iter().map")
        await pilot.press("escape")
        await until(lambda: "v.iter().map" not in text_of(app))


async def test_a_wide_terminal_shows_list_and_conversation(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(160, 50)):
        text = await shown(app, "▸ bash cargo test → exit 101")
        assert "… 32 more lines (z unfolds)" in text
        assert "Write a ring buffer" in text
        assert "- get(url)" in text
        assert "+ with_backoff" in text


async def test_long_outputs_unfold(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(160, 80)) as pilot:
        await shown(app, "32 more lines")
        await pilot.press("enter", "z")
        await shown(app, "test net::case_20 ... ok")
        await pilot.press("G")
        await shown(app, "the slowest case takes 1.6 s")


async def test_a_busy_database_does_not_hold_up_the_keys(open_app: OpenApp, little: Workspace) -> None:
    import sqlite3

    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        other = sqlite3.connect(little.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await pilot.press("a", "a", "j")
        await shown(app, "4 of 9", seconds=2.0)
        assert _decisions(little)[0] is None
        other.execute("ROLLBACK")
        other.close()
        await until(lambda: _decisions(little)[:2] == ["accept", "accept"])


async def test_an_empty_workspace_says_where_to_go(open_app: OpenApp, tmp_path_factory: pytest.TempPathFactory) -> None:
    app = open_app("sessions", Workspace(tmp_path_factory.mktemp("empty")))
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "No examples yet.")
        await pilot.press("a", "x", "u", "e", "f", "enter", "j", "G")
        await shown(app, "No examples yet.")


def test_a_draft_reads_back_as_it_was(little: Workspace, tmp_path: Path) -> None:
    for identity in examples.ids(little):
        messages = reading.example(little, identity).messages
        assert draft.from_text(draft.to_text(messages), messages, tmp_path) == messages


def test_a_changed_draft_changes_that_message_alone(little: Workspace, tmp_path: Path) -> None:
    messages = reading.example(little, examples.ids(little)[0]).messages
    text = draft.to_text(messages).replace("exponential backoff", "doubling delays")
    edited = draft.from_text(text, messages, tmp_path)
    assert [old == new for old, new in zip(messages, edited, strict=True)] == [True] * (len(messages) - 1) + [False]
    assert edited[-1].about == messages[-1].about


def test_a_draft_that_cannot_be_read_names_the_place(little: Workspace, tmp_path: Path) -> None:
    messages = reading.example(little, examples.ids(little)[0]).messages
    with pytest.raises(BadInput, match="line"):
        draft.from_text("[[message]]\nrole = \n", messages, tmp_path / "draft.toml")
    with pytest.raises(BadInput, match="role"):
        draft.from_text('[[message]]\nrole = "robot"\n', messages, tmp_path / "draft.toml")


def test_an_editor_that_cannot_run_is_named(tmp_path: Path) -> None:
    assert "no-such-editor" in str(draft.run_editor("no-such-editor --wait", tmp_path / "x"))
    assert "code 1" in str(draft.run_editor("false", tmp_path / "x"))
    assert draft.run_editor("true", tmp_path / "x") is None


def test_an_edit_that_is_refused_keeps_the_draft(little: Workspace) -> None:
    identity = examples.ids(little)[0]
    path = draft.path_of(little, identity)
    messages = reading.example(little, identity).messages
    draft.write(path, messages)
    with pytest.raises(BadInput, match="at least one assistant message") as caught:
        draft.store(little, identity, messages[:1], "ana")
    assert "Press e again" in caught.value.fix
    assert path.is_file()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_draft_that_is_gone_or_no_text_is_named(little: Workspace, content: bytes | None) -> None:
    identity = examples.ids(little)[0]
    path = draft.path_of(little, identity)
    path.parent.mkdir(exist_ok=True)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match="the draft cannot be read") as caught:
        draft.read(path, [])
    assert caught.value.where == str(path)
