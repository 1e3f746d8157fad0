"""Train: an adapter of one's own from a form, and a preset over a profile."""

from __future__ import annotations

from typing import Any

import pytest
from screen_text import shown, until

import run_stories
from lora_tui.backends import plan as planning
from lora_tui.backends.hardware import Machine
from lora_tui.tui.app import LoraTuiApp
from lora_tui.tui.screens.train import choices, engine
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import load_profile
from run_stories import NOW

GIB = 1024**3


@pytest.fixture
def ready(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A profile and a dataset that is counted already, on a machine that never changes."""
    run_stories.write_profile(workspace)
    run_stories.write_suite(workspace, run_stories.PROMPTS)
    run_stories.write_base(workspace)
    run_stories.write_dataset(workspace)
    run_stories.write_audit(workspace)
    host = Machine(cores=16, ram_total=64 * GIB, ram_available=20 * GIB, disk_free=900 * GIB, gpus=())
    monkeypatch.setattr(planning, "machine", lambda folder: host)
    monkeypatch.setattr(engine, "missing", lambda: None)
    return workspace


def train(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "train", clock=lambda: NOW)


async def test_the_form_writes_a_profile_that_says_only_what_differs_and_chooses_it(ready: Workspace) -> None:
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1")
        await pilot.press("n")
        await shown(pilot.app, "An adapter of your own", "lora_alpha", "It needs a name")
        await pilot.press(*"mine", "enter", "enter", *"my first one", "enter", "enter", *"8")
        await shown(pilot.app, "rank: how many directions")
        await pilot.press("ctrl+s")
        await until(lambda: (ready.profiles / "mine.toml").is_file())
        await shown(pilot.app, "mine", "my first one")
    text = (ready.profiles / "mine.toml").read_text()
    made, parent = load_profile(ready, "mine"), load_profile(ready, "tiny")
    assert (made.lora.r, made.description) == (8, "my first one")
    assert made.training == parent.training
    assert "lora_alpha" not in text
    assert 'extends = "tiny"' in text


async def test_a_wrong_value_is_said_while_it_is_typed_and_nothing_typed_is_lost(ready: Workspace) -> None:
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1")
        await pilot.press("n", *"mine", "tab", "tab", "tab", "tab", *"many")
        await shown(pilot.app, "lora.r: expected `int`")
        await pilot.press("ctrl+s")
        assert not (ready.profiles / "mine.toml").exists()
        await pilot.press(*["backspace"] * 4, *"16", "tab", "tab", "tab", *"lm_head")
        await shown(pilot.app, "TRL trains no adapter on lm_head", "mine", "16")
        await pilot.press("ctrl+s")
        assert not (ready.profiles / "mine.toml").exists()
        await pilot.press(*["backspace"] * 7, *"q_proj,v_proj", "ctrl+s")
        await until(lambda: (ready.profiles / "mine.toml").is_file())
    made = load_profile(ready, "mine")
    assert made.lora.target_modules == ("q_proj", "v_proj")
    assert made.lora.r == 16


async def test_a_name_that_is_taken_and_a_parent_that_is_not_there_are_said(ready: Workspace) -> None:
    (ready.profiles / "taken.toml").write_text('name = "taken"\nextends = "tiny"\n')
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1")
        await pilot.press("n", *"taken")
        await shown(pilot.app, "there is a profile 'taken' already")
        await pilot.press("tab", *"x")
        await shown(pilot.app, "there is no profile")
        await pilot.press("escape")
        await until(lambda: len(pilot.app.screen_stack) == 1)
    assert "tiny" in (ready.profiles / "taken.toml").read_text()


async def test_a_preset_is_laid_over_the_profile_and_planned(ready: Workspace) -> None:
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1", "starts it")
        await pilot.press("p")
        await shown(pilot.app, "quick: one pass over the rows", "stable: ")
        await pilot.press("down", "enter")
        await shown(pilot.app, "profile, quick")
        screen: Any = pilot.app.screen
        await until(lambda: screen._pair() is not None and screen._pair()[0].training.num_train_epochs == 1)
        await pilot.press("p", "up", "enter")
        await until(lambda: screen._pair()[0].training.num_train_epochs == 16)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_looks(ready: Workspace, size: tuple[int, int], snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"tiny": ready.profiles / "tiny.toml"}  # the shipped ones may change
    monkeypatch.setattr(choices, "profile_paths", lambda workspace: own)

    async def opened(pilot: Any) -> None:
        await shown(pilot.app, "tiny on rust@1", "starts it")
        await pilot.press("n", *"mine", "tab", "tab", "tab", "tab", *"8")
        await shown(pilot.app, "rank: how many directions")

    assert snap_compare(train(ready), terminal_size=size, run_before=opened)
