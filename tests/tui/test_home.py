"""Home: where things stand and what to do next."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from on_screen import shown, text_of, until

from lora_tui.curation import examples, labels
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Cycle
from lora_tui.tui.app import LoraTuiApp
from lora_tui.tui.screens.home.next_step import next_step
from lora_tui.tui.screens.home.overview import DatasetLine, LanguageCount, Overview, ReportLine, RunLine
from lora_tui.workspace.layout import Workspace

OpenApp = Callable[..., LoraTuiApp]


async def test_the_pipeline_counts_what_waits(open_app: OpenApp) -> None:
    app = open_app()
    async with app.run_test(size=(80, 24)):
        text = await shown(app, "9 examples from 9 sessions")
        assert "7 to look at · 1 accepted · 1 rejected" in text
        assert "Next" in text


async def test_enter_goes_to_the_next_step(open_app: OpenApp, little: Workspace) -> None:
    labels.undo(little, "someone")
    labels.undo(little, "someone")
    labels.undo(little, "someone")
    app = open_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "accept the good ones")
        await pilot.press("enter")
        assert app.current_mode == "sessions"


async def test_it_counts_again_when_shown_again(open_app: OpenApp, little: Workspace) -> None:
    app = open_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "1 accepted")
        await pilot.press("f2")
        await shown(app, "1 of 9")
        await pilot.press("a", "q")
        await shown(app, "2 accepted")
    assert examples.counts(little).of("accept") == 2


async def test_an_empty_workspace_says_how_to_begin(
    open_app: OpenApp, tmp_path_factory: pytest.TempPathFactory
) -> None:
    app = open_app("home", Workspace(tmp_path_factory.mktemp("empty")))
    async with app.run_test(size=(80, 24)) as pilot:
        text = await shown(app, "This workspace is empty.")
        assert "your agents keep on this machine" in text
        await pilot.press("i")
        await shown(app, "opencode has no sessions on this machine")
        await pilot.press("escape")
        await pilot.press("d")
        await shown(app, "trains a tiny model")
        await pilot.press("escape")
        assert "trains a tiny model" not in text_of(app)


async def test_reading_a_history_runs_beside_the_app_and_shows_its_error(
    open_app: OpenApp, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = Workspace(tmp_path_factory.mktemp("empty"))
    app = open_app("home", empty)
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(app, "This workspace is empty.")
        await pilot.press("i")
        await shown(app, "another database")
        await pilot.press(*"/nowhere.db", "enter")
        await shown(app, "ended with code 2", seconds=20)
        assert "error:" in text_of(app)
        await pilot.press("escape")
        await until(lambda: "This workspace is empty." in text_of(app))


FULL = Overview(
    sessions=10,
    examples=40,
    unlabelled=20,
    accepted=15,
    rejected=5,
    languages=(LanguageCount("rust", 40, 15, 20),),
    datasets=1,
    dataset=DatasetLine("rust@1", {"train": 12}, 1.0, ("rust",)),
    runs=1,
    run=RunLine("r1", "tiny on rust@1", "finished", 30, 30, 0.5, "rust@1", 2.0),
    reports=1,
    report=ReportLine("adapter:tiny", 5, 0, 5, 3.0, good="passed its gates"),
)


@pytest.mark.parametrize(
    ("changes", "screen"),
    [
        ({"accepted": 0}, "sessions"),
        ({"dataset": None}, "dataset"),
        ({"dataset": None, "languages": (LanguageCount("none", 40, 15, 20),)}, "sessions"),
        ({"run": None}, "train"),
        ({"run": msgspec.structs.replace(FULL.run, state="failed")}, "monitor"),
        ({"run": msgspec.structs.replace(FULL.run, state="running"), "running": 1}, "monitor"),
        ({"report": None}, "verify"),
        ({"report": ReportLine("adapter:tiny", 5, 0, 3, 3.0, failing=2)}, "verify"),
        ({"adapters": ("tiny",), "report": ReportLine("adapter:tiny", 5, 0, 5, 3.0)}, "sessions"),  # nothing proven
        ({"accepted_since": 4}, "dataset"),
        ({"adapters": ("tiny",)}, "adapters"),
        ({"adapters": ("tiny",), "production": ("tiny",)}, "sessions"),
        ({"unverified_merge": "five@1.0.0"}, "adapters"),
        ({}, "sessions"),
    ],
)
def test_the_next_step_is_the_first_stage_that_waits(changes: dict[str, object], screen: str) -> None:
    assert next_step(msgspec.structs.replace(FULL, **changes)).screen == screen


async def test_c_starts_the_cycle_of_a_profile_and_shows_it_at_work(
    open_app: OpenApp, little: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "start", lambda run: None)
    app = open_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(app, "9 examples from 9 sessions")
        await pilot.press("c")
        await shown(app, "every gate passes")
        await pilot.press(*"nobody", "enter")
        await shown(app, "There is no profile 'nobody'")
        await pilot.press("escape", "c", *"build-rust", "enter")
        await until(lambda: app.current_mode == "monitor")
        await shown(app, "cycle of build-rust")
    (made,) = supervisor.runs(little)
    assert made.file.job == Cycle(profile="build-rust")


def test_what_was_accepted_since_is_for_a_cycle_once_a_version_is_in_production() -> None:
    dataset = DatasetLine(label="rust@3", rows={"train": 80}, created=1.0, languages=("rust",))
    run = RunLine("r", "t", "finished", 9, 9, 0.1, "rust@3", 2.0)
    report = ReportLine("adapter:rust@1.0.0", 5, 2, 5, 3.0)
    found = Overview(sessions=9, examples=90, accepted=80, dataset=dataset, runs=1, run=run, report=report)
    served = msgspec.structs.replace(
        found, adapters=("rust@1.0.0",), production=("rust@1.0.0",), accepted_since=7, reports=1
    )
    assert next_step(served).sentence == "7 examples accepted since rust@3. c starts a cycle with them."
