"""Verify with several samples, sides and languages: what a person finds in a report."""

from __future__ import annotations

import re
import threading
from typing import Any

import msgspec
import pytest
from screen_text import shown, text_of, until
from textual.widgets import Input

import comparison_stories
import run_stories
from lora_tui.tui.app import LoraTuiApp
from lora_tui.verify import votes
from lora_tui.verify.reports import files as report_files
from lora_tui.verify.reports import report
from lora_tui.verify.reports.report import Fault
from lora_tui.workspace.layout import Workspace
from run_stories import NOW

OTHER = "openai:http://127.0.0.1:9/v1#other"


def verify(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "verify", clock=lambda: NOW)


@pytest.fixture
def told(workspace: Workspace) -> Workspace:
    """A workspace with a comparison of three samples of six prompts in two languages."""
    run_stories.write_profile(workspace)
    run_stories.registered(workspace, run_stories.write_finished(workspace))
    comparison_stories.write(workspace)
    return workspace


def rows(text: str) -> list[list[str]]:
    """The prompts in the list, each as its words."""
    return [line.split() for line in text.splitlines() if re.match(r" +\d+ +\d/", line)]


async def test_regressions_stand_first_with_how_many_samples_passed(told: Workspace) -> None:
    async with verify(told).run_test(size=(120, 40)) as pilot:
        text = await shown(pilot.app, "freeze a constant")
        assert [row[:4] for row in rows(text)] == [
            ["3", "3/3", "0/3", "lost"],
            ["2", "3/3", "1/3", "worse"],
            ["4", "0/3", "0/3", "both"],
            ["5", "1/3", "2/3", "better"],
            ["1", "0/3", "3/3", "gained"],
            ["6", "3/3", "3/3", "both"],
        ]


async def test_the_summary_tells_gates_faults_and_who_is_not_proven(told: Workspace) -> None:
    async with verify(told).run_test(size=(120, 40)) as pilot:
        await shown(
            pilot.app,
            "9 of 18 (50 %)",
            "2 better, 2 worse",
            "✗ success >= 98 %: 50.0 %",
            "✓ latency < 12 s: 1.1 s",
            "baseline llama.cpp b7126, model unproven",
            "no-usage, tuned: the server does not count tokens",
        )


async def test_a_fault_that_voids_the_answers_comes_before_the_gates(told: Workspace) -> None:
    folder = told.reports / comparison_stories.ID
    fault = Fault("tuned", "wrong-model", "coder@2 answers", 18, voids=True)
    report_files.write(msgspec.structs.replace(report.load(folder), faults=(fault,)), folder)
    async with verify(told).run_test(size=(80, 24)) as pilot:
        text = await shown(pilot.app, "wrong-model ×18, tuned: coder@2 answers")
        assert "success >=" not in text.partition("wrong-model")[0]


async def test_the_sample_that_tells_most_comes_first_and_the_arrows_show_the_others(told: Workspace) -> None:
    async with verify(told).run_test(size=(120, 40)) as pilot:
        await shown(pilot.app, "sample 1 of 3")
        await pilot.press("j")  # parse a port: the fine-tune's first sample passes, its second fails
        text = await shown(pilot.app, "sample 2 of 3", "TODO: add them up")
        assert text.count("sample 2 of 3") == 2
        await pilot.press("left")
        text = await shown(pilot.app, "sample 1 of 3", ".sum::<i64>()")
        assert "TODO: add them up" not in text
        await pilot.press("left")
        await shown(pilot.app, "sample 3 of 3")


async def test_words_that_differ_are_marked_without_colour_until_d(told: Workspace) -> None:
    async with verify(told).run_test(size=(120, 40)) as pilot:
        text = await shown(pilot.app, "-  Use an iterator:", "+  Use a loop:")
        assert re.search(r"- ?\d? +items\.iter\(\)", text)
        await pilot.press("d")
        text = await shown(pilot.app, "   Use an iterator:")
        assert "+  Use a loop:" not in text
        assert "-  Use an iterator:" not in text


async def test_what_expectations_look_for_bears_their_numbers_and_the_unmet_are_listed(told: Workspace) -> None:
    async with verify(told).run_test(size=(120, 40)) as pilot:
        text = await shown(pilot.app, "✗ 3 not-contains 'TODO'  it is there", "✓ 1 contains 'fn '")
        assert "+3     // TODO: add them up" in text
        assert " 1 fn squares" in text


async def test_marks_are_more_than_colours(told: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with verify(told).run_test(size=(120, 40)) as pilot:
        await shown(pilot.app, "+3     // TODO: add them up")
        strips = pilot.app.screen._compositor.render_strips()
        styles = {segment.text: segment.style for strip in strips for segment in strip if segment.style is not None}
        assert styles["an iterator"].underline
        assert not styles["an iterator"].reverse
        assert styles["fn"].reverse
        assert styles["TODO"].reverse
        assert styles["TODO"].underline


async def test_one_language_can_be_listed_alone(told: Workspace) -> None:
    async with verify(told).run_test(size=(120, 40)) as pilot:
        await shown(pilot.app, "freeze a constant")
        await pilot.press("L")
        await shown(pilot.app, "ruby, 3 of 6", "one language after another")
        await pilot.press("down", "down", "enter")
        await until(lambda: len(rows(text_of(pilot.app))) == 3)
        text = await shown(pilot.app, "ruby: Too few prompts to tell")
        assert {row[0] for row in rows(text)} == {"4", "5", "6"}


async def test_tab_brings_a_third_side_beside_the_baseline(workspace: Workspace) -> None:
    run_stories.write_profile(workspace)
    run_stories.registered(workspace, run_stories.write_finished(workspace))
    comparison_stories.write(workspace, OTHER)
    async with verify(workspace).run_test(size=(120, 40)) as pilot:
        text = await shown(pilot.app, "fine-tune  failed", "and 1 more")
        assert "other 1  " not in text
        await pilot.press("tab")
        text = await shown(pilot.app, "other 1  passed", "baseline  passed")
        assert "TODO: add them up" not in text


async def test_enter_gives_the_answers_the_window(told: Workspace) -> None:
    async with verify(told).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "success >= 98 %")
        await pilot.press("enter")
        await until(lambda: "success >= 98 %" not in text_of(pilot.app))
        await pilot.press("j")
        text = await shown(pilot.app, "parse a port", "sample 2 of 3", "   ```", "✗ 3 not-contains")
        assert len(rows(text)) == 1
        await pilot.press("enter")
        await shown(pilot.app, "success >= 98 %")


async def test_a_note_stays_with_its_prompt(told: Workspace) -> None:
    async with verify(told).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "lost")
        await pilot.press("n")
        await shown(pilot.app, "Note on prompt 3")
        pilot.app.screen.query_one(Input).value = "it forgot how to sum"
        await pilot.press("enter")
        await shown(pilot.app, "note: it forgot how to sum")
        await pilot.press("j")
        await until(lambda: "it forgot" not in text_of(pilot.app))
    async with verify(told).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "note: it forgot how to sum")


async def test_a_second_note_is_not_lost_while_the_first_is_being_written(
    told: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, may_write = votes.note, threading.Event()

    def slowly(*given: Any) -> None:
        may_write.wait(30)
        write(*given)

    monkeypatch.setattr(votes, "note", slowly)
    async with verify(told).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "lost")
        for number, text in ((3, "first"), (2, "second")):
            await pilot.press("n")
            await shown(pilot.app, f"Note on prompt {number}")
            pilot.app.screen.query_one(Input).value = text
            await pilot.press("enter", "j")
        may_write.set()
        await pilot.press("k")
        await shown(pilot.app, "note: second")
        await pilot.press("k")
        await shown(pilot.app, "note: first")


async def test_i_tells_all_that_the_report_says(told: Workspace) -> None:
    async with verify(told).run_test(size=(120, 50)) as pilot:
        await shown(pilot.app, "lost")
        await pilot.press("i")
        await shown(
            pilot.app,
            "temperature 0.7, seed 0",
            "95 % interval",
            "b7126",
            "Noise: tuned run again would stay within",
            "rust",
            "! no-usage, tuned, 1×",
        )


async def test_a_report_whose_run_is_gone_is_read_too(told: Workspace) -> None:
    for path in (told.runs / comparison_stories.ID).iterdir():
        path.unlink()
    (told.runs / comparison_stories.ID).rmdir()
    async with verify(told).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "retry with backoff", "9 of 18")
        await pilot.press("r")
        await shown(pilot.app, "he run of this report is gone")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
@pytest.mark.usefixtures("utc")
def test_looks(told: Workspace, size: tuple[int, int], snap_compare: Any) -> None:
    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "success >= 98 %", "TODO: add them up", "fine-tune tiny@1.0.0")

    assert snap_compare(verify(told), terminal_size=size, run_before=ready)


@pytest.mark.usefixtures("utc")
def test_looks_while_reading_in_a_small_window(told: Workspace, snap_compare: Any) -> None:
    async def ready(pilot: Any) -> None:
        await shown(pilot.app, "lost")
        await pilot.press("enter", "tab")
        await shown(pilot.app, "baseline  passed", "✓ 3 not-contains")

    assert snap_compare(verify(told), terminal_size=(80, 24), run_before=ready)
