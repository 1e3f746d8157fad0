"""How Monitor looks, with all there is to show, at both sizes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from screen_text import shown

import run_stories
from lora_tui.jobs import attached, journal
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.app import LoraTuiApp
from lora_tui.workspace.layout import Workspace
from run_stories import NOW
from trainer_states import trainer_state

pytestmark = [pytest.mark.usefixtures("utc"), pytest.mark.parametrize("size", [(80, 24), (160, 50)])]


def monitor(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "monitor", clock=lambda: NOW)


@pytest.fixture
def work() -> Iterator[Callable[[Run], None]]:
    """Gives runs a process for as long as the test takes."""
    children: list[subprocess.Popen[bytes]] = []
    yield lambda run: children.append(run_stories.living(run))
    for child in children:
        child.kill()
        child.wait()


def test_a_run_that_trains(workspace: Workspace, work: Any, size: tuple[int, int], snap_compare: Any) -> None:
    work(run_stories.write_everything(workspace))

    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "87/160", "GiB free", "14:13:18")

    assert snap_compare(monitor(workspace), terminal_size=size, run_before=ready)


def test_two_runs_over_each_other(workspace: Workspace, work: Any, size: tuple[int, int], snap_compare: Any) -> None:
    work(run_stories.write_everything(workspace))
    run_stories.write_failed(workspace)

    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "87/160", "GiB free")
        await pilot.press("space", "tab", "space")
        await shown(pilot.app, "b build-rust", "CUDA out of memory")
        await pilot.press(*["left"] * 40)
        await shown(pilot.app, "loss at")

    assert snap_compare(monitor(workspace), terminal_size=size, run_before=ready)


def test_a_paused_run_with_its_answers(
    workspace: Workspace, work: Any, size: tuple[int, int], snap_compare: Any
) -> None:
    work(run_stories.write_everything(workspace, journal.Paused(step=87)))

    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "‖ paused", "2/2 prompts")
        await pilot.press("o", "n", "left")
        await shown(pilot.app, "2/2 read a file", "step 87   lr")

    assert snap_compare(monitor(workspace), terminal_size=size, run_before=ready)


def test_a_run_that_recovered(workspace: Workspace, work: Any, size: tuple[int, int], snap_compare: Any) -> None:
    events = [event for event in run_stories.everything(48) if not isinstance(event, journal.Warned)]
    job = run_stories.train_job(workspace)
    title = "build-rust on rust@3"
    work(run_stories.write_run(workspace, "20260921-1-train-oo", job, title, run_stories.until_now(events)))

    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "48/160", "! out of memory at step 42", "GiB free")
        await pilot.press("t", "t", "t")
        await shown(pilot.app, "gradient norm   ━")

    assert snap_compare(monitor(workspace), terminal_size=size, run_before=ready)


def test_another_programs_training(
    workspace: Workspace, tmp_path: Path, size: tuple[int, int], snap_compare: Any
) -> None:
    trainer_state(tmp_path / "my-trl-run", 40)
    for path in (tmp_path / "my-trl-run").rglob("*"):
        os.utime(path, (NOW - 90, NOW - 90))
    attached.attach(workspace, tmp_path / "my-trl-run", NOW - 60)

    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "my-trl-run · foreign", "another program trained this", "40/40")

    assert snap_compare(monitor(workspace), terminal_size=size, run_before=ready)


def test_a_playback(workspace: Workspace, size: tuple[int, int], snap_compare: Any) -> None:
    run_stories.ended(run_stories.write_everything(workspace, journal.Finished(steps=87, seconds=110.0)))

    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "✓ finished")
        await pilot.press("R", "p", *["right"] * 30)
        await shown(pilot.app, "» replay", "stands still")
        await pilot.press(*["left"] * 60, *["right"] * 50)
        await shown(pilot.app, "step  50/160", "suite 1/2")

    assert snap_compare(monitor(workspace), terminal_size=size, run_before=ready)
