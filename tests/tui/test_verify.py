"""Verify: both answers to every prompt."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from screen_text import shown, text_of, until
from textual.widgets import Input

import run_stories
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Verify
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.app import LoraTuiApp
from lora_tui.workspace.layout import Workspace
from run_stories import NOW


def verify(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "verify", clock=lambda: NOW)


@pytest.fixture
def suite(workspace: Workspace) -> Path:
    """A suite, and an adapter to compare with its base."""
    run_stories.write_profile(workspace)
    run_stories.registered(workspace, run_stories.write_finished(workspace))
    return run_stories.write_suite(workspace, run_stories.PROMPTS)


@pytest.fixture
def going_on(workspace: Workspace, suite: Path) -> Iterator[Run]:
    """A comparison in which the second answer is being written."""
    events = run_stories.compared()[:2]
    events.append(journal.AnswerDelta(prompt=1, side="baseline", text="Once upon a ti"))
    job = run_stories.verify_job(workspace, suite)
    run = run_stories.write_run(workspace, "20260921-131010-verify-dddd", job, "five: tiny against base", events)
    child: subprocess.Popen[bytes] = run_stories.living(run)
    yield run
    child.kill()
    child.wait()


async def test_a_finished_comparison_shows_what_was_lost_first(workspace: Workspace, suite: Path) -> None:
    run_stories.write_comparison(workspace, suite)
    async with verify(workspace).run_test(size=(80, 24)) as pilot:
        text = await shown(pilot.app, "3 of 5", "1 of 5", "3 gained, 1 lost", "Too few prompts to tell")
        prompts = [line.split(maxsplit=3) for line in text.splitlines() if re.match(r" +\d", line)]
        assert [line[0] for line in prompts] == ["4", "5", "1", "2"]
        assert prompts[0][:3] == ["4", "✓", "✗"]


async def test_tab_shows_the_other_answer_in_a_small_window(workspace: Workspace, suite: Path) -> None:
    run_stories.write_comparison(workspace, suite)
    async with verify(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "I am a tiny model", "✗ 1 contains 'fn '")
        await pilot.press("tab")
        await shown(pilot.app, "items.iter().sum()", "✓ 1 contains 'fn '")


async def test_both_answers_stand_side_by_side_in_a_wide_window(workspace: Workspace, suite: Path) -> None:
    run_stories.write_comparison(workspace, suite)
    async with verify(workspace).run_test(size=(120, 40)) as pilot:
        await shown(pilot.app, "I am a tiny model", "items.iter().sum()")


async def test_a_comparison_that_runs_is_followed_as_it_writes(workspace: Workspace, going_on: Run) -> None:
    async with verify(workspace).run_test(size=(120, 40)) as pilot:
        await shown(pilot.app, "1 of 10 answers", "running")
        await pilot.press("j")
        await shown(pilot.app, "Once upon a ti")
        writer = journal.Journal(going_on.journal)
        writer.write(journal.AnswerDelta(prompt=1, side="baseline", text="me in a small crate"))
        await shown(pilot.app, "Once upon a time in a small crate")
        writer.write(run_stories.answer(1, "baseline", run_stories.CODE))
        text = await shown(pilot.app, "2 of 10 answers", "items.iter().sum()")
        numbers = [line.split()[0] for line in text.splitlines() if re.match(r" +\d .*[a-z]$", line)]
        assert numbers[:5] == ["1", "2", "3", "4", "5"]


async def test_s_starts_the_proposed_comparison(
    workspace: Workspace, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace.root / "demo" / "base").mkdir(parents=True)
    started: list[Run] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    async with verify(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "suite five", "baseline demo/base", "fine-tune tiny@1.0.0", "Nothing compared yet")
        await pilot.press("s")
        await shown(pilot.app, "0 of 10 answers")
    (run,) = started
    assert isinstance(run.file.job, Verify)
    assert run.file.job.baseline == f"base:{workspace.root / 'demo' / 'base'}"
    assert run.file.job.tuned == "adapter:tiny@1.0.0"


async def test_a_stopped_comparison_goes_on_instead_of_beginning_anew(
    workspace: Workspace, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Run] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    events = [*run_stories.compared()[:3], journal.Stopped(step=2)]
    run = run_stories.write_run(
        workspace, "20260921-131010-verify-eeee", run_stories.verify_job(workspace, suite), "x", events
    )
    run_stories.ended(run)
    async with verify(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "2 of 10 answers", "s goes on where it ended")
        await pilot.press("s")
        await until(lambda: bool(started))
    assert [item.id for item in started] == [run.id]


async def test_another_endpoint_can_be_typed_and_a_wrong_one_is_refused(workspace: Workspace, suite: Path) -> None:
    async with verify(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "suite five")
        for typed, wanted in (("nonsense", "is no endpoint"), ("openai:http://box:8000/v1#rust", "rust at box:8000")):
            await pilot.press("b")
            await shown(pilot.app, "another: base:PATH")
            await pilot.press("end", "enter")
            await shown(pilot.app, "Endpoint")
            pilot.app.screen.query_one(Input).value = typed
            await pilot.press("enter")
            await shown(pilot.app, wanted)
            await pilot.press("escape")


async def test_an_earlier_comparison_can_be_opened(workspace: Workspace, suite: Path) -> None:
    run_stories.write_comparison(workspace, suite, "20260920-131010-verify-old1")
    events = [*run_stories.compared()[:3], journal.Stopped(step=2)]
    run = run_stories.write_run(
        workspace, "20260921-131010-verify-eeee", run_stories.verify_job(workspace, suite), "x", events
    )
    run_stories.ended(run)
    async with verify(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "2 of 10 answers")
        await pilot.press("o")
        await shown(pilot.app, "Comparisons")
        await pilot.press("down", "enter")
        await shown(pilot.app, "3 gained, 1 lost")
        assert "of 10 answers" not in text_of(pilot.app)


async def test_where_nothing_is_proposed_the_comparison_that_is_opened_can_be_repeated(workspace: Workspace) -> None:
    path = run_stories.write_suite(workspace, run_stories.PROMPTS)
    run_stories.write_comparison(workspace, path)
    async with verify(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "suite five", "baseline demo/base", "fine-tune tiny@1.0.0")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_looks(workspace: Workspace, suite: Path, size: tuple[int, int], snap_compare: Any) -> None:
    run_stories.write_comparison(workspace, suite)

    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "3 gained, 1 lost", "I am a tiny model", "suite five", "fine-tune tiny@1.0.0")

    assert snap_compare(verify(workspace), terminal_size=size, run_before=ready)
