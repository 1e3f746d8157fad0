"""Monitor: what keys ask of a run, how its curves are read, and what went wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from screen_text import shown, text_of, until
from textual.pilot import Pilot

import run_stories
from lora_tui.jobs import attached, journal, supervisor
from lora_tui.jobs.job import Sweep
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.app import LoraTuiApp
from lora_tui.tui.messages import RunChosen
from lora_tui.workspace.layout import Workspace
from run_stories import NOW
from trainer_states import trainer_state

Start = Callable[[Run], Run]


def monitor(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "monitor", clock=lambda: NOW)


@pytest.fixture
def start() -> Iterator[Start]:
    """Gives a run a process for as long as the test takes."""
    children: list[subprocess.Popen[bytes]] = []

    def begin(run: Run) -> Run:
        children.append(run_stories.living(run))
        return run

    yield begin
    for child in children:
        child.kill()
        child.wait()


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause()


async def test_p_lets_a_run_wait_and_go_on(workspace: Workspace, start: Start) -> None:
    run = start(run_stories.write_live(workspace))
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "87/160")
        await press(pilot, "p")
        await shown(pilot.app, "pausing: the step is made first")
        assert (run.folder / supervisor.PAUSE).exists()
        journal.Journal(run.journal).write(journal.Paused(step=87, time=NOW))
        text = await shown(pilot.app, "‖ paused", "p goes on")
        assert "to go" not in text, "nobody knows for how long it waits"
        await press(pilot, "p")
        assert not (run.folder / supervisor.PAUSE).exists()
        journal.Journal(run.journal).write(journal.Continued(step=87, time=NOW))
        await shown(pilot.app, "▶ running", "to go")
        await press(pilot, "c")
        assert (run.folder / supervisor.CHECKPOINT).exists()


async def test_a_paused_run_goes_on_with_r(workspace: Workspace, start: Start) -> None:
    run = start(run_stories.write_everything(workspace, journal.Paused(step=87)))
    supervisor.pause(run)
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "‖ paused")
        await press(pilot, "r")
        await until(lambda: not (run.folder / supervisor.PAUSE).exists())


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_what_went_wrong_stands_out_with_what_to_do(
    workspace: Workspace, start: Start, size: tuple[int, int]
) -> None:
    start(run_stories.write_everything(workspace))
    async with monitor(workspace).run_test(size=size) as pilot:
        text = await shown(pilot.app, "! step 87: the loss has not moved", "Raise training.learning_rate")
        if size[0] > 100:
            assert "! out of memory at step 42: goes on from its checkpoint with batch 1 × accumulation 16" in text
            assert "(planned 61.0, reached 79.0 GiB, longest row 8,150 tokens)" in text


_NAN = journal.Warned(message="the loss is not a number", advice="Lower training.learning_rate.", code="nan", step=9)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            run_stories.OUT_OF_MEMORY,
            ("! out of memory at step 42", "longest row 8,150 tokens", "batch 1 × accumulation 16"),
        ),
        (_NAN, ("! step 9: the loss is not a number", "Lower training.learning_rate.")),
        (run_stories.PLATEAU, ("! step 87: the loss has not moved for 40 steps", "it may have learnt what there is")),
    ],
)
async def test_a_run_that_does_not_fit_blows_up_or_stands_still_says_so_at_80_columns(
    workspace: Workspace, start: Start, event: journal.AnyEvent, words: tuple[str, ...]
) -> None:
    start(run_stories.write_live(workspace))
    later = msgspec.structs.replace(event, time=NOW)
    journal.Journal(next(workspace.runs.glob("*/journal.jsonl"))).write(later)
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        text = " ".join((await shown(pilot.app, words[0])).split())
        assert all(word in text for word in words), text


async def test_a_guards_stop_says_why(workspace: Workspace) -> None:
    stopped = journal.Stopped(step=87, checkpoint="checkpoints/checkpoint-80", reason="eval loss rose 3 times in a row")
    run_stories.ended(run_stories.write_everything(workspace, stopped))
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "■ stopped", "! stopped at step 87: eval loss rose 3 times in a row", "r goes on")


async def test_the_cursor_reads_every_curve_and_the_answer_of_that_step(workspace: Workspace, start: Start) -> None:
    start(run_stories.write_everything(workspace))
    async with monitor(workspace).run_test(size=(160, 50)) as pilot:
        await shown(pilot.app, "87/160", "[80 2/2 (eval 0.91)]", "items.iter().sum()")
        await press(pilot, "left")
        await shown(pilot.app, "loss at 87")
        for _ in range(5):
            await press(pilot, "shift+left")
        text = text_of(pilot.app)
        step = int(text.split("loss at ")[1].split()[0])
        assert 20 < step < 40
        steps = [item for item in run_stories.training(step) if isinstance(item, journal.Metrics)]
        assert f"raw {steps[-1].loss:.3g}" in text
        names = ("smoothed", f"step {step}   lr", "grad norm", "passed 0", "general")
        assert all(f"{name} " in text for name in names), text
        assert "[20 0/2 (eval 1.6)]" in text
        assert "I am a tiny model" in text
        assert "✗ contains 'fn '" in text
        await press(pilot, "n")
        await shown(pilot.app, "2/2 read a file in Rust", "I read files every day", "it is not there")
        await press(pilot, "escape")
        await shown(pilot.app, "goes on by itself")


async def test_the_chart_can_be_zoomed_panned_and_switched(workspace: Workspace, start: Start) -> None:
    start(run_stories.write_everything(workspace))
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:

        def ends() -> list[int]:
            axis = next(line for line in text_of(pilot.app).splitlines() if line.split() and line.split()[0].isdigit())
            return [int(axis.split()[0]), int(axis.split()[-1])]

        await shown(pilot.app, "87/160")
        assert ends() == [0, 160]
        await press(pilot, "plus")
        assert ends()[1] - ends()[0] == 80
        await press(pilot, "plus")
        first = ends()
        assert first[1] - first[0] == 40
        await press(pilot, "[")
        assert ends() == [first[0] - 20, first[1] - 20]
        await press(pilot, "]", "minus", "minus")
        assert ends() == [0, 160]
        await press(pilot, "y")
        await shown(pilot.app, "log scale")
        for title in (
            "eval loss   ━ eval 0.91",
            "learning rate   ━",
            "gradient norm",
            "speed   ━ tokens/s",
            "100 %",
            "2.07",
        ):
            await press(pilot, "t")
            await shown(pilot.app, title)


async def test_marked_runs_are_laid_over_each_other_and_told_apart(workspace: Workspace, start: Start) -> None:
    start(run_stories.write_live(workspace))
    run_stories.write_failed(workspace)
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "87/160")
        await press(pilot, "space", "tab", "space")
        text = await shown(pilot.app, "a tiny on rust@1 0.754", "b build-rust on rust@1")
        rows = text.splitlines()
        assert [row.split()[0] for row in rows[1:3]] == ["a", "b"], "the list has the letters too"
        plot = "\n".join(row.partition("│")[2] for row in rows)
        assert "a" in plot
        assert "b" in plot
        await press(pilot, "u")
        await shown(pilot.app, "smoothed")


async def test_a_run_is_played_back_by_its_own_times(workspace: Workspace) -> None:
    run_stories.write_finished(workspace)
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "160/160")
        await press(pilot, "R", "p")
        await shown(pilot.app, "» replay", "stands still")
        await press(pilot, "right", "right", "right")
        await shown(pilot.app, "step  ")
        before = _step(pilot)
        await press(pilot, "right")
        await until(lambda: _step(pilot) == before + 1)
        await press(pilot, "left", "left")
        await until(lambda: _step(pilot) == before - 1)
        for _ in range(6):
            await press(pilot, "greater_than_sign")
        await press(pilot, "p")
        await shown(pilot.app, "at its end", "160/160", "finished after")
        await press(pilot, "escape")
        await shown(pilot.app, "✓ finished")


def _step(pilot: Pilot[None]) -> int:
    for line in text_of(pilot.app).splitlines():
        words = line.split()
        if words[:1] == ["step"]:
            return int(words[1].partition("/")[0])
    return -1


async def test_another_programs_training_is_attached_watched_and_forgotten(
    workspace: Workspace, tmp_path: Path
) -> None:
    trainer_state(tmp_path / "theirs", 20)
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "No run yet")
        await press(pilot, "A", *"/nowhere", "enter")
        await shown(pilot.app, "There is no such path")
        await press(pilot, "escape", "A", *str(tmp_path / "theirs"), "enter")
        await shown(pilot.app, "theirs · foreign", "20/40", "another program trains this")
        await press(pilot, "s")
        await shown(pilot.app, "it can be watched here, no more")
        await press(pilot, "escape", "F")
        await shown(pilot.app, "No run yet")
    assert attached.places(workspace) == ()


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (journal.Stopped(step=2), "r goes on where it was"),
        (journal.Finished(steps=3, eval_loss=1.2, seconds=9.0), "lora-tui sweep show"),
    ],
)
async def test_what_can_be_done_with_a_sweep_that_is_over(
    workspace: Workspace, last: journal.AnyEvent, says: str
) -> None:
    run = run_stories.write_sweep(workspace)
    journal.Journal(run.journal).write(last)
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "lr=5e-4")
        pilot.app.screen.post_message(RunChosen(run.id))
        text = await shown(pilot.app, says)
        assert "from the checkpoint" not in text
        assert "shows the answers" not in text


async def test_a_comparison_cannot_be_paused_and_says_so(workspace: Workspace, start: Start) -> None:
    suite = run_stories.write_suite(workspace, run_stories.PROMPTS)
    run = start(
        run_stories.write_run(
            workspace,
            "20260921-131010-verify-dddd",
            run_stories.verify_job(workspace, suite),
            "five",
            [run_stories.STARTED],
        )
    )
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "running")
        await pilot.press("p")
        await shown(pilot.app, "Only a training can be paused")
        assert not (run.folder / supervisor.PAUSE).exists()
        await pilot.press("escape", "c")
        await shown(pilot.app, "Only a training writes checkpoints")


async def test_the_best_run_of_a_sweep_is_an_adapter_once_the_sweep_has_finished(workspace: Workspace) -> None:
    sweep = run_stories.write_sweep(workspace)
    assert isinstance(sweep.file.job, Sweep)
    best = supervisor.find(workspace, sweep.file.job.trials[0].run)
    run_stories.write_adapter(best)
    async with monitor(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "lr=5e-4")
        pilot.app.screen.post_message(RunChosen(best.id))
        await shown(pilot.app, "the best run of its sweep becomes an adapter")
        journal.Journal(sweep.journal).write(journal.Finished(steps=3, eval_loss=1.2, seconds=9.0, output=best.id))
        await shown(pilot.app, "tiny@1.0.0 is in the registry")
