"""Train: a sweep is typed, shown as it would be, and started."""

from __future__ import annotations

from typing import Any

import pytest
from screen_text import shown, until
from test_train import ready as ready

from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Sweep
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.app import LoraTuiApp
from lora_tui.tui.screens.train import choices
from lora_tui.workspace.layout import Workspace
from run_stories import NOW


def train(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "train", clock=lambda: NOW)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """What was started; no process works."""
    found: list[Run] = []
    monkeypatch.setattr(supervisor, "start", found.append)
    return found


async def test_a_sweep_is_typed_looked_at_and_started(ready: Workspace, started: list[Run]) -> None:
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1", "starts it")
        await pilot.press("w")
        await shown(pilot.app, "Sweep of tiny on rust@1", "Short names: lr, epochs")
        await pilot.press(*"lr=1e-4,2e-4 r=8,16")
        await shown(pilot.app, "4 runs: enter shows")
        await pilot.press("enter")
        await shown(pilot.app, "lr=2e-4 r=16", "4 runs, 256 steps in all, time not known", "Enter starts them")
        assert not started
        await pilot.press("enter")
        await until(lambda: pilot.app.current_mode == "monitor")
        await shown(pilot.app, "lr=2e-4 r=16")
    (run,) = started
    assert isinstance(run.file.job, Sweep)
    assert run.file.job.by == "eval_loss"
    assert [trial.settings for trial in run.file.job.trials][1] == ("training.learning_rate=1e-4", "lora.r=16")
    assert len(supervisor.runs(ready)) == 5


async def test_what_is_typed_wrong_is_said_and_starts_nothing(ready: Workspace, started: list[Run]) -> None:
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1", "starts it")
        await pilot.press("w", *"lrr=1,2")
        await shown(pilot.app, "lrr: unknown key")
        await pilot.press("enter")
        await shown(pilot.app, "lrr: unknown key")
        await pilot.press("ctrl+u", *"optim=adamw,sgd")
        await shown(pilot.app, "transformers knows no 'adamw'")
        await pilot.press("ctrl+u", *'lr="1')
        await shown(pilot.app, "cannot read this")
        await pilot.press("ctrl+u", *"lr=1e-4,2e-4", "tab", "ctrl+u", *"luck", "enter")
        await shown(pilot.app, "Write eval_loss or pass_rate")
        await pilot.press("ctrl+u", *"pass_rate", "enter")
        await shown(pilot.app, "2 runs, 128 steps in all", "Enter starts them")
        await pilot.press("escape")
        await shown(pilot.app, "starts it")
    assert not started
    assert not supervisor.runs(ready)


async def test_going_on_from_an_adapter_where_none_fits_is_said_and_the_app_goes_on(ready: Workspace) -> None:
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1", "starts it")
        await pilot.press("o")
        await shown(pilot.app, "No adapter fits tiny yet")
        await pilot.press("escape")
        await shown(pilot.app, "starts it")


async def test_a_profile_that_cannot_be_trained_is_told_instead_of_a_plan(ready: Workspace, started: list[Run]) -> None:
    path = ready.profiles / "tiny.toml"
    path.write_text(path.read_text().replace('optim = "adamw_torch"', 'optim = "adamw"'))
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "training.optim: transformers knows no 'adamw'")
        await pilot.press("s")
        await shown(pilot.app, "This did not work", "Training.optim: transformers knows no 'adamw'")
    assert not started


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_looks(snap_compare: Any, ready: Workspace, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    own = {"tiny": ready.profiles / "tiny.toml"}  # the shipped ones may change
    monkeypatch.setattr(choices, "profile_paths", lambda workspace: own)

    async def planned(pilot: Any) -> None:
        await shown(pilot.app, "tiny on rust@1", "starts it")
        await pilot.press("w", *"lr=1e-4,2e-4,5e-4 r=4,8,16,32", "enter")
        await shown(pilot.app, "Enter starts them")

    assert snap_compare(train(ready), terminal_size=size, run_before=planned)
