"""What is started from Verify: options, a free prompt, one prompt again, stopping; and what a hidden screen does."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from screen_text import shown, text_of, until
from textual.widgets import Input

import comparison_stories
import run_stories
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Verify
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.app import LoraTuiApp
from lora_tui.tui.screens.verify import proposal
from lora_tui.tui.screens.verify.following import Following
from lora_tui.tui.screens.verify.screen import VerifyScreen
from lora_tui.verify.running import run as verification
from lora_tui.workspace.layout import Workspace
from run_stories import NOW


def verify(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "verify", clock=lambda: NOW)


@pytest.fixture
def told(workspace: Workspace) -> Workspace:
    """A finished comparison, and the suite that is proposed next."""
    run_stories.write_profile(workspace)
    run_stories.write_base(workspace)
    run_stories.registered(workspace, run_stories.write_finished(workspace))
    run_stories.write_suite(workspace, run_stories.PROMPTS)
    comparison_stories.write(workspace)
    return workspace


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Run]]:
    """What is started does not ask anybody: a process that only lives works on it."""
    runs: list[Run] = []
    children: list[subprocess.Popen[bytes]] = []

    def start(run: Run) -> None:
        journal.Journal(run.journal).write(journal.Starting())
        runs.append(run)
        children.append(run_stories.living(run))

    monkeypatch.setattr(supervisor, "start", start)
    yield runs
    for child in children:
        child.kill()
        child.wait()


async def typed(pilot_app: LoraTuiApp, texts: dict[str, str]) -> None:
    """Put texts into the fields of the form that is open."""
    for name, text in texts.items():
        pilot_app.screen.query_one(f"#{name}", Input).value = text


async def test_options_of_a_comparison_are_typed_checked_and_used(told: Workspace, started: list[Run]) -> None:
    app = verify(told)
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, "suite five", "fine-tune tiny@1.0.0")
        await pilot.press("m")
        await shown(app, "How it is asked", "answers to each prompt")
        await typed(app, {"samples": "5", "temperature": "0"})
        await shown(app, "temperature: greedy samples of a prompt are all alike")
        await typed(app, {"temperature": "warm"})
        await shown(app, "'warm' is no number")
        await typed(app, {"temperature": "0.5", "others": "nonsense", "gates": "success >= 98 %; latency < 12 s"})
        await pilot.press("ctrl+s")
        await shown(app, "nonsense")
        await typed(app, {"others": "openai:http://box:8000/v1#other"})
        await pilot.press("ctrl+s")
        await shown(app, "m 5 samples, temperature 0.5, +1 more, 2 gates")
        await pilot.press("s")
        await shown(app, "0 of 75 answers", "running")
    job = started[0].file.job
    assert isinstance(job, Verify)
    assert (job.samples, job.temperature, job.others) == (5, 0.5, ("openai:http://box:8000/v1#other",))
    assert job.gates == ("success >= 98 %", "latency < 12 s")


async def test_a_free_prompt_is_answered_by_both_as_they_write(told: Workspace, started: list[Run]) -> None:
    app = verify(told)
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, "fine-tune tiny@1.0.0", "lost")
        await pilot.press("f")
        await shown(app, "Ask both", "tiny@1.0.0 and demo/base")
        app.screen.query_one(Input).value = "What is a slice?"
        await pilot.press("enter")
        await shown(app, "0 of 2 answers", "you What is a slice?", "free prompt")
        log = journal.Journal(started[0].journal)
        log.write(journal.AnswerDelta(prompt=0, side="baseline", text="A piece of"))
        await shown(app, "A piece of")
        log.write(journal.Answer(prompt=0, side="baseline", text="A piece of cake."))
        log.write(journal.Answer(prompt=0, side="tuned", text="A view into an array."))
        log.write(journal.Finished(steps=2))
        text = await shown(app, "A piece of cake.", "A view into an array.", "2 of 2 answers", "finished")
        assert "✓ baseline" not in text  # nothing was expected of it
        assert "passed" not in text
        await pilot.press("v")
        await shown(app, " free prompt has no report")
        await pilot.press("escape")
        await pilot.press("o")
        await shown(app, "Comparisons", "free prompt 'What is a slice?'")
        await pilot.press("escape")
        await shown(app, "you What is a slice?")
        await pilot.press("escape")
        await shown(app, "lost", "retry with backoff", "you Show me retry")
        assert "slice" not in text_of(app)
    job = started[0].file.job
    assert isinstance(job, Verify)
    assert job.prompt == "What is a slice?"


async def test_one_prompt_is_asked_again_after_a_question(told: Workspace, started: list[Run]) -> None:
    app = verify(told)
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, "lost", "retry with backoff")
        await pilot.press("r")
        await shown(app, "Prompt 3 is asked again of every side")
        assert started == []
        await pilot.press("enter")
        text = await shown(app, "30 of 36 answers", "running", "asked again 1×")
        assert "retry with backoff" in text
        await pilot.press("r")
        await shown(app, " comparison is going on")
    events = journal.JournalReader(started[0].journal).read()
    assert [event.prompt for event in events if isinstance(event, journal.Again)] == [2]


async def test_the_cursor_stays_with_its_prompt_when_the_report_comes(told: Workspace, started: list[Run]) -> None:
    app = verify(told)
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, "lost", "retry with backoff")
        await pilot.press("j", "j", "r")
        await shown(app, "Prompt 4 is asked again")
        await pilot.press("enter")
        await shown(app, "30 of 36 answers", "you Show me a Rack middleware in ruby.")
        log = journal.Journal(started[0].journal)
        await pilot.press("right")
        await shown(app, "sample 2 of 3")
        log.write(journal.Finished(steps=36, output=comparison_stories.ID))
        await shown(app, "success >= 98 %", "you Show me a Rack middleware in ruby.", "sample 2 of 3")


async def test_s_stops_a_comparison_that_runs(told: Workspace, started: list[Run]) -> None:
    app = verify(told)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "suite five", "lost")
        await pilot.press("s")
        await shown(app, "0 of 10 answers")
        await pilot.press("S")
        await until(lambda: (started[0].folder / supervisor.STOP).exists())
        await shown(app, "0 of 10 answers  stopping after what is under way")


async def test_a_hidden_screen_looks_at_nothing(
    told: Workspace, started: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    look: Callable[[Following], object] = Following.look

    def counted(self: Following) -> object:
        looks.append(self.id)
        return look(self)

    monkeypatch.setattr(Following, "look", counted)
    app = verify(told)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "suite five", "lost")
        await pilot.press("s")
        await shown(app, "0 of 10 answers")
        await pilot.press("f12")
        await until(lambda: "answers" not in text_of(app))
        await pilot.pause(0.2)
        before = len(looks)
        await pilot.pause(1.5)
        assert len(looks) == before
        await pilot.press("f7")
        await until(lambda: len(looks) > before)


async def test_a_suite_that_is_gone_is_told_and_the_app_goes_on(told: Workspace, started: list[Run]) -> None:
    app = verify(told)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "suite five", "lost")
        Path(told.profiles / "suites" / "five.yaml").unlink()
        await pilot.press("s")
        await shown(app, "here is no suite")
        await pilot.press("escape")
        await shown(app, "lost")
        assert started == []


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The workspace is read only once this is set."""
    go_on = threading.Event()
    read = proposal.read

    def waiting(*args: Any) -> proposal.Possible:
        go_on.wait(60)
        return read(*args)

    monkeypatch.setattr(proposal, "read", waiting)
    yield go_on
    go_on.set()


@pytest.mark.parametrize(
    ("key", "words"),
    [("c", "Suite"), ("b", "another: base:PATH"), ("t", "another: base:PATH"), ("o", "Comparisons")],
)
async def test_what_is_asked_for_while_the_workspace_is_read_opens_as_soon_as_it_is(
    told: Workspace, slow: threading.Event, key: str, words: str
) -> None:
    app = verify(told)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "Nothing compared yet")
        await pilot.press(key)
        assert "Nothing compared yet" in text_of(app)
        assert isinstance(app.screen, VerifyScreen)
        slow.set()
        await shown(app, words)


@pytest.mark.parametrize("keys", [["j"], ["f12", "f7"]])
async def test_what_was_asked_for_too_early_is_dropped_for_another_key(
    told: Workspace, slow: threading.Event, keys: list[str]
) -> None:
    app = verify(told)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "Nothing compared yet")
        await pilot.press("o", *keys)
        await shown(app, "Nothing compared yet")
        slow.set()
        await shown(app, "suite five", "lost")
        await pilot.pause()
        assert isinstance(app.screen, VerifyScreen)


async def test_what_cannot_be_opened_once_the_workspace_is_read_says_why(
    workspace: Workspace, slow: threading.Event
) -> None:
    app = verify(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "Nothing compared yet")
        await pilot.press("o")
        slow.set()
        await shown(app, "othing was compared yet", "Start with s")


async def test_escape_leaves_a_free_prompt_that_was_there_first_for_the_newest_comparison(
    told: Workspace, started: list[Run]
) -> None:
    free = verification.create_free(told, "What is a slice?", "adapter:tiny", "adapter:tiny")
    run_stories.ended(free)
    app = verify(told)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "you What is a slice?")
        await pilot.press("escape")
        await shown(app, "lost", "retry with backoff")
        await pilot.press("escape")
        await shown(app, "lost", "retry with backoff")


async def test_what_is_started_and_asked_before_the_first_answer_is_told(told: Workspace, started: list[Run]) -> None:
    app = verify(told)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "suite five", "lost")
        await pilot.press("s")
        await shown(app, "0 of 10 answers  running")
        log = journal.Journal(started[0].journal)
        log.write(journal.Progress(stage="load base with tiny@1.0.0", done=0))
        await shown(app, "0 of 10 answers  load base with tiny@1.0.0  ░")
        log.write(journal.Progress(stage="warm the fine-tune up", done=0))
        await shown(app, "0 of 10 answers  warm the fine-tune up")
        log.write(journal.Progress(stage="answers", done=0, total=10))
        await shown(app, "0 of 10 answers  running")
        log.write(journal.Progress(stage="judging", done=3, total=10))
        await shown(app, "0 of 10 answers  judging, 3 of 10")


@pytest.fixture
def stopped(told: Workspace) -> Run:
    """A comparison of another suite than is proposed, stopped after two of 36 answers."""
    job = comparison_stories.verify_job(told, told.profiles / "suites" / "mixed.yaml")
    sides = {"baseline": job.baseline, "tuned": job.tuned}
    events = [*comparison_stories.answers(sides)[:5], journal.Stopped(step=2)]
    run = run_stories.write_run(told, "20260923-131010-verify-half", job, "x", events)
    run_stories.ended(run)
    return run


@pytest.mark.parametrize(("keys", "goes_on"), [(["enter"], True), (["down", "enter"], False)])
async def test_s_asks_whether_what_is_shown_goes_on_where_something_else_is_proposed(
    told: Workspace, stopped: Run, started: list[Run], keys: list[str], goes_on: bool
) -> None:
    app = verify(told)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "suite five", "2 of 36 answers", "s goes on where it ended")
        await pilot.press("s")
        await shown(app, "go on with mixed as it was begun (2 of 36 answers)", "begin anew: five")
        await pilot.press(*keys)
        await until(lambda: bool(started))
    assert (started[0].id == stopped.id) is goes_on


async def test_options_changed_after_a_stop_are_not_passed_over(told: Workspace, started: list[Run]) -> None:
    job = run_stories.verify_job(told, told.profiles / "suites" / "five.yaml")
    events = [*run_stories.compared()[:3], journal.Stopped(step=2)]
    stopped = run_stories.write_run(told, "20260923-131010-verify-half", job, "x", events)
    run_stories.ended(stopped)
    app = verify(told)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "suite five", "s goes on where it ended")
        await pilot.press("m")
        await shown(app, "How it is asked")
        await typed(app, {"samples": "5"})
        await pilot.press("ctrl+s")
        await shown(app, "m 5 samples")
        await pilot.press("s")
        await shown(app, "go on with five as it was begun (2 of 10 answers)", "begin anew: five")
        assert started == []
        await pilot.press("down", "enter")
        await shown(app, "0 of 50 answers")
    assert started[0].id != stopped.id


async def test_enter_shows_the_whole_of_a_long_prompt(told: Workspace, started: list[Run]) -> None:
    asked = "Read this:\n\n" + " ".join(f"word{number}" for number in range(40))
    run_stories.ended(verification.create_free(told, asked, "adapter:tiny", "adapter:tiny"))
    app = verify(told)
    async with app.run_test(size=(80, 24)) as pilot:
        text = await shown(app, "you Read this: word0 word1", "…")
        assert "word39" not in text
        await pilot.press("enter")
        await shown(app, "you Read this:\n     word0 word1", "word38 word39\n")
        await pilot.press("enter")
        await until(lambda: "word39" not in text_of(app))


async def test_a_report_that_cannot_be_read_is_said(told: Workspace, started: list[Run]) -> None:
    report = told.reports / comparison_stories.ID / "report.json"
    report.write_bytes(report.read_bytes()[:100])
    app = verify(told)
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, "36 of 36 answers", "there is no readable report")
        await pilot.press("i")
        await shown(app, "here is no readable report", "s asks its suite anew")


async def test_answers_that_count_no_more_are_waited_for_when_a_comparison_goes_on(
    told: Workspace, started: list[Run]
) -> None:
    job = run_stories.verify_job(told, told.profiles / "suites" / "five.yaml")
    lost = journal.Answer(prompt=2, side="tuned", text="", error="nothing came", fault="hang")
    void = journal.Fault("tuned", "wrong-model", "another model answers", voids=True)
    events = [*run_stories.compared()[:3], lost, void, journal.Failed(reason="another model answers")]
    run = run_stories.write_run(told, "20260923-131010-verify-void", job, "x", events)
    run_stories.ended(run)
    app = verify(told)
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, "2 of 10 answers", "wrong-model")
        await pilot.press("s")
        await until(lambda: bool(started))
        journal.Journal(run.journal).write(journal.Started(pid=1, host="box", total_steps=10))
        text = await shown(app, "0 of 10 answers")
        assert "wrong-model" not in text


async def test_an_answer_that_could_not_be_had_is_seen_when_it_is_written_again(
    told: Workspace, started: list[Run]
) -> None:
    job = run_stories.verify_job(told, told.profiles / "suites" / "five.yaml")
    lost = journal.Answer(prompt=0, side="tuned", text="", error="nothing came", fault="hang")
    events = [run_stories.compared()[0], lost, journal.Stopped(step=2)]
    run = run_stories.write_run(told, "20260923-131010-verify-lost", job, "x", events)
    run_stories.ended(run)
    app = verify(told)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, "0 of 10 answers", "nothing came")
        await pilot.press("s")
        await until(lambda: bool(started))
        log = journal.Journal(run.journal)
        log.write(journal.Started(pid=1, host="box", total_steps=10))
        log.write(journal.AnswerDelta(prompt=0, side="tuned", text="Once upon a ti"))
        await shown(app, "Once upon a ti", "writing")
