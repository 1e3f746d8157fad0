"""Monitor: runs as their journals tell them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from screen_text import shown, text_of, until

import run_stories
from lora_tui.jobs import journal
from lora_tui.jobs.supervisor import Run, is_alive
from lora_tui.tui.app import LoraTuiApp
from lora_tui.tui.messages import RunChosen
from lora_tui.tui.screens.monitor.screen import MonitorScreen
from lora_tui.workspace.layout import Workspace
from run_stories import NOW

SIZES = [(80, 24), (160, 50)]


def monitor(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "monitor", clock=lambda: NOW)


@pytest.fixture
def live(workspace: Workspace) -> Iterator[Run]:
    """A run that works."""
    run = run_stories.write_live(workspace)
    child: subprocess.Popen[bytes] = run_stories.living(run)
    yield run
    child.kill()
    child.wait()


async def test_a_running_run_shows_how_far_and_how_fast_it_is(workspace: Workspace, live: Run) -> None:
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        text = await shown(pilot.app, "running", "87/160", "eval 0.91", "NVIDIA H200", "8.70/16", "tokens/s", "to go")
        assert "step 80: checkpoint" in text


async def test_what_a_run_writes_appears_without_a_key(workspace: Workspace, live: Run) -> None:
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "87/160")
        writer = journal.Journal(live.journal)
        for event in run_stories.training(100, first=88):
            writer.write(event)
        await shown(pilot.app, "100/160", "step 100: eval loss")


async def test_a_monitor_that_is_not_shown_does_not_look(workspace: Workspace, live: Run) -> None:
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "87/160")
        screen = pilot.app.screen
        assert isinstance(screen, MonitorScreen)
        await pilot.press("f12")
        await until(lambda: pilot.app.current_mode == "home")
        await pilot.pause()
        assert screen._timer is None
        await pilot.press("f5")
        await until(lambda: screen._timer is not None)


async def test_a_failed_run_says_why(workspace: Workspace) -> None:
    run_stories.write_failed(workspace)
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        text = await shown(pilot.app, "CUDA out of memory", "Use a smaller batch", "OutOfMemoryError")
        assert "\x1b" not in text


async def test_a_run_that_was_killed_says_so(workspace: Workspace) -> None:
    run_stories.ended(run_stories.write_live(workspace))
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "failed", "killed, or out of memory")


async def test_stop_asks_the_run_for_a_checkpoint(workspace: Workspace, live: Run) -> None:
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "87/160")
        await pilot.press("s")
        await shown(pilot.app, "a checkpoint is written first")
        assert (live.folder / "stop").exists()


async def test_kill_asks_first(workspace: Workspace, live: Run) -> None:
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "87/160")
        await pilot.press("K")
        await shown(pilot.app, "since its last checkpoint is lost")
        assert is_alive(live)
        await pilot.press("enter")
        await until(lambda: not is_alive(live))


async def test_a_finished_run_becomes_an_adapter_that_can_be_compared(workspace: Workspace) -> None:
    run_stories.write_profile(workspace)
    run_stories.write_suite(workspace, run_stories.PROMPTS)
    run_stories.write_finished(workspace)
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "160/160", "tiny@1.0.0 is in the registry")
        await pilot.press("v")
        await shown(pilot.app, "suite five", "baseline demo/base", "fine-tune tiny@1.0.0")


async def test_tab_goes_through_the_runs(workspace: Workspace, live: Run) -> None:
    run_stories.write_failed(workspace)
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "goes on by itself")
        await pilot.press("tab")
        await shown(pilot.app, "CUDA out of memory")
        await pilot.press("shift+tab")
        await shown(pilot.app, "goes on by itself")
        assert "CUDA out of memory" not in text_of(pilot.app)


async def test_samples_take_the_place_of_the_log_in_a_small_window(workspace: Workspace, live: Run) -> None:
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "step 80: checkpoint")
        await pilot.press("o")
        await shown(pilot.app, "items.iter().sum()")


async def test_a_resumed_run_draws_the_steps_made_again_once(workspace: Workspace, live: Run) -> None:
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "87/160")
        writer = journal.Journal(live.journal)
        writer.write(journal.Started(pid=7, host="box", total_steps=160, resumed_from=80))
        for event in run_stories.training(83, first=81):
            writer.write(event)
        await shown(pilot.app, "83/160", "going on from step 80")


async def test_an_empty_workspace_says_where_runs_come_from(workspace: Workspace) -> None:
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "No run yet")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.usefixtures("utc")
def test_looks(workspace: Workspace, live: Run, size: tuple[int, int], snap_compare: Any) -> None:
    run_stories.write_failed(workspace)
    run_stories.write_suite(workspace, run_stories.PROMPTS)
    run_stories.write_finished(workspace)

    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "87/160", "eval 0.91", "160/160" if size[0] > 100 else "tiny on rust")

    assert snap_compare(monitor(workspace), terminal_size=size, run_before=ready)


async def test_a_sweep_lays_its_runs_over_each_other(workspace: Workspace) -> None:
    run_stories.write_sweep(workspace)
    async with monitor(workspace).run_test(size=(160, 50)) as pilot:
        await shown(pilot.app, "sweep of 3", "lr=1e-4 r=8")
        screen = pilot.app.screen
        assert isinstance(screen, MonitorScreen)
        screen.on_run_chosen(RunChosen(run_stories.SWEEP))
        text = await shown(pilot.app, "run 01 finished, eval loss 1.2167", "a lr=1e-4 r=8")
        assert "failed: the disk is full" in text


async def test_what_a_run_costs_elsewhere_is_seen_and_a_lost_connection_only_until_it_is_back(
    workspace: Workspace,
) -> None:
    at_work = [
        journal.Hired(provider="runpod", id="pod1", name="RTX 4090", price_per_hour=0.34, time=NOW - 3600),
        *run_stories.until_now([run_stories.STARTED, *run_stories.training(30)]),
        journal.Warned(message="connection to pod1 lost", advice="It goes on there.", code="connection", time=NOW),
    ]
    run = run_stories.write_run(
        workspace, "20260921-121010-train-cccc", run_stories.train_job(workspace), "tiny on rust@1", at_work
    )
    child = run_stories.living(run)
    log = journal.Journal(run.journal)
    try:
        async with monitor(workspace).run_test(size=(80, 24)) as pilot:
            await shown(pilot.app, "! connection to pod1 lost", "$0.34 so far")
            log.write(journal.Note(message="connected to pod1 again after 9 s", time=NOW + 9))
            await shown(pilot.app, "connected to pod1 again after 9 s")
            await until(lambda: "! connection" not in text_of(pilot.app))
            log.write(journal.Released(provider="runpod", id="pod1", seconds=3600, cost=0.36, time=NOW + 10))
            log.write(journal.Finished(steps=30, loss=0.5, seconds=60.0, output="adapter", time=NOW + 11))
            run_stories.write_adapter(run)
            child.kill()
            child.wait()
            await shown(pilot.app, "is in the registry", "its base   $0.36")
    finally:
        log.close()
        child.kill()
        child.wait()
