"""What works everywhere in the app."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from on_screen import shown, text_of, until
from textual.worker import Worker

from lora_tui.tui import themes
from lora_tui.tui.app import LoraTuiApp
from lora_tui.tui.keymap import ACTIONS, checked
from lora_tui.tui.terminal import osc52, prepare
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.resources import shipped

OpenApp = Callable[..., LoraTuiApp]


async def test_function_keys_and_digits_go_to_the_screens(open_app: OpenApp) -> None:
    app = open_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "From the sessions")
        await pilot.press("f2")
        assert app.current_mode == "sessions"
        await pilot.press("q")
        assert app.current_mode == "home"
        await pilot.press("1")
        assert app.current_mode == "sessions"
        await pilot.press("1")
        assert app.current_mode == "sessions", "digits are languages here"


async def test_q_on_home_leaves(open_app: OpenApp) -> None:
    app = open_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("q")
        await until(lambda: not app.is_running)


async def test_help_shows_the_keys_of_this_screen(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(80, 40)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("question_mark")
        text = await shown(app, "On Sessions")
        assert "Accept this example" in text
        assert "rust, typescript, python" in text.replace("\n", " ")
        await pilot.press("escape")
        assert "On Sessions" not in text_of(app)


async def test_a_persons_keymap_changes_binding_hint_and_help(open_app: OpenApp, little: Workspace) -> None:
    little.config.write_text('[keymap]\n"sessions.accept" = "y"\n')
    app = open_app("sessions")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 of 9")
        assert " y accept" in text_of(app)
        await pilot.press("y")
        await shown(app, "2 of 9")
        await shown(app, "✓   rust       Add a retry")


def test_an_unknown_action_in_the_keymap_is_named() -> None:
    with pytest.raises(BadInput, match=r"sessions\.acept"):
        checked({"sessions.acept": "y"})


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(BadInput, match=r"sessions\.accept and sessions\.reject"):
        checked({"sessions.reject": "a"})


def test_every_action_has_an_id_of_its_own_and_words() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert all(action.help and action.label for action in ACTIONS)


def test_an_unknown_screen_is_refused(workspace: Workspace) -> None:
    with pytest.raises(BadInput, match="there is no screen 'nowhere'"):
        LoraTuiApp(workspace, "nowhere")


async def test_an_error_in_a_worker_becomes_a_dialog_that_copies(open_app: OpenApp) -> None:
    app = open_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "Sessions")

        def fail() -> None:
            raise LoraTuiError("the disk is full", where="/data/workspace.db", fix="Free some space.")

        worker: Worker[None] = app.run_worker(fail, thread=True, exit_on_error=False)
        text = await shown(app, "The disk is full.")
        assert "/data/workspace.db" in text
        assert "Free some space." in text
        await pilot.press("c")
        assert "the disk is full (/data/workspace.db)" in app.clipboard
        await pilot.press("escape")
        assert "The disk is full." not in text_of(app)
        assert worker.is_finished


async def test_a_bug_behind_a_key_goes_to_the_log_and_the_app_goes_on(
    open_app: OpenApp, little: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app()
    async with app.run_test(size=(80, 24)) as pilot:
        text = await shown(app, "Sessions")

        def broken(self: LoraTuiApp) -> None:
            raise ZeroDivisionError("seven by nothing")

        monkeypatch.setattr(LoraTuiApp, "action_help", broken)
        await pilot.press("question_mark")
        text = await shown(app, "bug in lora-tui")
        assert "lora-tui.log" in "".join(text.replace("│", "").split())
        assert "ZeroDivisionError: seven by nothing" in (little.logs / "lora-tui.log").read_text()
        await pilot.press("escape", "f2")
        assert app.current_mode == "sessions"


async def test_a_terminal_that_is_too_small_says_so_and_recovers(open_app: OpenApp) -> None:
    app = open_app()
    async with app.run_test(size=(50, 12)) as pilot:
        await shown(app, "too small")
        await pilot.resize_terminal(80, 24)
        await shown(app, "From the sessions")
        assert "too small" not in text_of(app)


async def test_the_palette_finds_actions_of_this_screen(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(100, 40)) as pilot:
        await shown(app, "1 of 9")
        await pilot.press("colon")
        await pilot.press(*"undo")
        await shown(app, "Take back the last decision")


async def test_every_theme_draws_every_state(open_app: OpenApp) -> None:
    app = open_app("sessions")
    async with app.run_test(size=(160, 50)) as pilot:
        await shown(app, "Retry for the fetcher")
        for name in ("lora-light", "lora-ansi", "lora-dark"):
            app.theme = name
            await pilot.pause()
            assert "Add a retry" in text_of(app)


async def test_a_broken_theme_file_is_named_and_the_app_starts(open_app: OpenApp, little: Workspace) -> None:
    folder = little.root / "themes"
    folder.mkdir()
    (folder / "mine.toml").write_text('name = "mine"\n[colors]\nprimary = "bluish"\n')
    little.config.write_text('theme = "mine"\n')
    app = open_app()
    async with app.run_test(size=(100, 30), notifications=True):
        text = await shown(app, "bluish")
        assert "colors.primary" in text
        assert app.theme == themes.DEFAULT


def test_a_persons_theme_is_used(little: Workspace, open_app: OpenApp) -> None:
    folder = little.root / "themes"
    folder.mkdir()
    (folder / "mine.toml").write_text('name = "mine"\n[colors]\nprimary = "#123456"\n')
    little.config.write_text('theme = "mine"\n')
    assert open_app().current_theme.primary == "#123456"


@pytest.mark.parametrize("path", sorted(shipped("themes").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_themes_are_sound(path: Path) -> None:
    theme = themes.read_theme(path)
    assert theme.name == path.stem


def test_over_ssh_there_are_few_frames_and_no_animation() -> None:
    environment = {"SSH_CONNECTION": "10.0.0.1 22"}
    prepare(environment)
    assert environment["TEXTUAL_FPS"] == "15"
    assert environment["TEXTUAL_ANIMATIONS"] == "none"


def test_copying_works_through_tmux() -> None:
    bare = osc52("hello", {})
    wrapped = osc52("hello", {"TMUX": "/tmp/tmux"})
    assert bare == "\x1b]52;c;aGVsbG8=\x07"
    assert wrapped.startswith(bare)
    assert wrapped[len(bare) :] == "\x1bPtmux;\x1b\x1b]52;c;aGVsbG8=\x07\x1b\\"
