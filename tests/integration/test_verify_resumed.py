"""A verification that goes on after an interruption: nothing that belongs to another question or model counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from lora_tui.jobs.job import load_job
from lora_tui.jobs.supervisor import Run
from lora_tui.verify.asking import EndpointFault, Identity, Question
from lora_tui.verify.reports import report
from lora_tui.verify.running import lane, run
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from scripted_endpoints import Scripted

PROMPTS = 12
NAMES = ("openai:http://127.0.0.1:9/v1#base", "openai:http://127.0.0.1:9/v1#tuned")


class Changing(Scripted):
    """An endpoint that `refusal` keeps from saying who it is."""

    refusal: EndpointFault | None = None

    async def identify(self) -> Identity:
        """As it was said."""
        if self.refusal is not None:
            raise self.refusal
        return await super().identify()


class Sides:
    """Two endpoints in this process, in place of those that a run would open; `hook` is told of every question."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.both = [Changing(name, partial(self.say, name), digest=name) for name in ("base", "tuned")]
        self.hook: Callable[[Question], None] = lambda question: None
        monkeypatch.setattr(run, "opened", self.opened)

    def say(self, name: str, question: Question) -> str:
        """The side's name, and what it was asked."""
        self.hook(question)
        return f"{name} says {question.prompt}"

    @asynccontextmanager
    async def opened(self, *_: object, **__: object) -> AsyncIterator[list[Changing]]:
        """In place of `endpoints.opened`."""
        yield self.both


@pytest.fixture
def sides(monkeypatch: pytest.MonkeyPatch) -> Sides:
    monkeypatch.setattr(lane, "_PAUSE", 0.0)
    return Sides(monkeypatch)


def write(path: Path, word: str, wanted: str = "tuned", many: int = PROMPTS) -> None:
    """A suite of so many prompts with this word in them."""
    lines = ["tests:"]
    for number in range(many):
        lines += [f"  - vars: {{prompt: '{word} {number:02}'}}", f"    assert: [{{type: contains, value: {wanted}}}]"]
    path.write_text("\n".join(lines))


def go(made: Run) -> str:
    """Do the run, or go on with it, in this process; why it ended, where it failed."""
    (made.folder / "stop").unlink(missing_ok=True)
    try:
        run.run(made.folder, load_job(made.folder / "job.toml"))
    except LoraTuiError as error:
        return error.what
    return ""


def stop_after(sides: Sides, made: Run, many: int) -> None:
    """Ask the run to stop after so many of the fine-tune's questions."""

    def stop(question: Question) -> None:
        if len(sides.both[1].asked) > many:
            (made.folder / "stop").touch()

    sides.hook = stop


def test_answers_to_a_suite_that_was_changed_meanwhile_are_not_taken_for_answers_to_the_new_one(
    workspace: Workspace, tmp_path: Path, sides: Sides
) -> None:
    suite = tmp_path / "s.yaml"
    write(suite, "old")
    made = run.create(workspace, str(suite), *NAMES, at_once=1)
    stop_after(sides, made, 6)
    assert not go(made)
    sides.hook = lambda question: None
    write(suite, "new", wanted="nothing")
    assert not go(made)
    found = report.load(workspace.reports / made.id)
    for item in found.outcomes:
        assert {some.text.partition("says ")[2] for side in item.answers.values() for some in side} == {item.prompt}
        assert {check.expectation for side in item.answers.values() for some in side for check in some.checks} == {
            "contains 'tuned'"
        }


@pytest.mark.parametrize("code", ["wrong-model", "unreachable"])
def test_without_a_last_look_at_who_answered_nothing_is_concluded(
    workspace: Workspace, tmp_path: Path, sides: Sides, code: str
) -> None:
    suite = tmp_path / "s.yaml"
    write(suite, "p")
    made = run.create(workspace, str(suite), *NAMES)
    gone = EndpointFault(code, "does not serve tuned")  # type: ignore[arg-type]

    def swap(question: Question) -> None:
        sides.both[1].refusal = gone

    sides.hook = swap
    assert go(made)
    assert report.reports(workspace) == []
    assert go(made)  # and not when it is resumed while the fine-tune still is not there
    assert report.reports(workspace) == []
    sides.hook = lambda question: None
    sides.both[1].refusal, sides.both[1].digest = None, "another"
    asked = len(sides.both[1].asked)
    assert not go(made)
    assert len(sides.both[1].asked) - asked >= PROMPTS
    assert report.load(workspace.reports / made.id).conclusive


def test_two_names_of_one_server_take_as_long_as_each_other_whatever_it_takes_to_find_its_limit(
    workspace: Workspace, tmp_path: Path, sides: Sides
) -> None:
    suite = tmp_path / "s.yaml"
    write(suite, "p", many=60)
    place = asyncio.Semaphore(1)
    for one in sides.both:
        one.address, one._places, one._seconds = "one server", place, 0.004
    made = run.create(workspace, str(suite), *NAMES)
    assert not go(made)
    found = report.load(workspace.reports / made.id)
    before, after = (
        {one.load for item in found.outcomes for one in item.answers[side]} for side in ("baseline", "tuned")
    )
    assert before != after  # the search fell on the baseline
    assert found.latency is None or 0.85 < found.latency.ratio < 1.18


def test_a_prompt_that_stands_in_a_suite_twenty_times_is_one_prompt(
    workspace: Workspace, tmp_path: Path, sides: Sides
) -> None:
    suite = tmp_path / "s.yaml"
    lines = [
        "  - vars: {prompt: 'the same'}\n    assert: [{type: contains, value: tuned}, {type: icontains, value: says}]"
    ]
    suite.write_text("\n".join(["tests:", *(lines * 20)]))
    made = run.create(workspace, str(suite), *NAMES)
    assert not go(made)
    found = report.load(workspace.reports / made.id)
    assert found.verdict.startswith("Too few prompts to tell (1 better and 0 worse of 1)")
    assert len(found.outcomes) == 20


def test_an_answer_of_brackets_without_end_is_no_json_and_no_end_of_the_run(
    workspace: Workspace, tmp_path: Path, sides: Sides
) -> None:
    suite = tmp_path / "s.yaml"
    write(suite, "p")
    suite.write_text(suite.read_text().replace("{type: contains, value: tuned}", "{type: is-json}"))
    sides.both[0]._answer = lambda question: "[1]"
    sides.both[1]._answer = lambda question: "[" * 20_000 if "03" in question.prompt else "[1]"
    made = run.create(workspace, str(suite), *NAMES)
    assert not go(made)
    found = report.load(workspace.reports / made.id)
    assert found.tallies == {"baseline": (PROMPTS, PROMPTS), "tuned": (PROMPTS - 1, PROMPTS)}
