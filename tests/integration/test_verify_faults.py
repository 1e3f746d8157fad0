"""A server that goes wrong in the middle of a comparison: what is said of it, and that nothing wrong is concluded."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from fakes.fault_server import LIMIT, FaultServer, fault_server
from lora_tui.jobs.job import Verify, load_job
from lora_tui.jobs.view import RunView
from lora_tui.verify.asking import Question
from lora_tui.verify.reports import report
from lora_tui.verify.reports.report import Report
from lora_tui.verify.running import lane, run
from lora_tui.verify.running.warm_up import WarmUp
from lora_tui.workspace import keys
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from scripted_endpoints import Scripted

PROMPTS = 14
BETTER = "The fine-tune is better than the baseline"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "_PAUSE", 0.0)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No questions of the warm-up among the suite's, so that a fault that is counted out hits one of these."""
    monkeypatch.setattr(WarmUp, "among", lambda self, label, places, seed: list(places))


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Prompts of different lengths, of which the longest are more than a truncating server reads."""
    lines = ["tests:"]
    for number in range(PROMPTS):
        words = " ".join(["word"] * (20 + number * 40))
        lines.append(f"  - vars: {{prompt: 'Question {number}: {words}'}}")
        lines.append("    assert: [{type: contains, value: tuned}]")
    path = tmp_path / "many.yaml"
    path.write_text("\n".join(lines))
    assert LIMIT < 20 + (PROMPTS - 1) * 40
    return path


def answer(model: str, prompt: str) -> str:
    """The fine-tune passes, the baseline never does."""
    return f"{model} says {prompt[:12]} is fine"


class Ended:
    """A run that ended, whichever way."""

    def __init__(self, workspace: Workspace, suite: Path, server: FaultServer, **more: object) -> None:
        names = (f"openai:{server.url}#base", f"openai:{server.url}#tuned")
        self.run = run.create(workspace, str(suite), *names, timeout=2.0, **more)  # type: ignore[arg-type]
        self.workspace = workspace
        self.go()

    def go(self) -> None:
        """Do it, or go on with it, in this process."""
        self.refused = ""
        try:
            run.run(self.run.folder, load_job(self.run.folder / "job.toml"))
        except LoraTuiError as error:
            self.refused = error.what

    @property
    def codes(self) -> set[str]:
        """What its journal calls the faults of endpoints."""
        return {fault.code for fault in RunView.of(self.run).faults}

    @property
    def report(self) -> Report | None:
        """Its report, where there is one."""
        found = report.reports(self.workspace)
        return found[0] if found else None


def test_without_a_fault_there_is_a_verdict(workspace: Workspace, suite: Path) -> None:
    with fault_server("", answer) as server:
        ended = Ended(workspace, suite, server)
    assert ended.report is not None
    assert ended.report.verdict.startswith(BETTER)
    assert ended.report.conclusive
    assert ended.report.faults == ()


@pytest.mark.parametrize(
    ("fault", "after", "name"),
    [
        ("wrong-model", 0, ""),
        ("changed-model", 10, "wrong-model"),
        ("mixed-adapters", 0, "mixed-adapters"),
        ("truncated-prompt", 0, "truncated-prompt"),
        ("web-page", 0, ""),
        ("silent", 0, ""),
    ],
)
def test_where_answers_are_not_what_was_asked_for_nothing_is_concluded_and_the_reason_is_named(
    workspace: Workspace, suite: Path, fault: str, after: int, name: str
) -> None:
    with fault_server(fault, answer, after=after, pause=0.002) as server:  # type: ignore[arg-type]
        ended = Ended(workspace, suite, server)
        view = RunView.of(ended.run)
        assert (view.state, ended.report) == ("failed", None)
        assert ended.refused
        assert view.failure.startswith(ended.refused)
        assert ended.codes == ({name} if name else set())
        server.fault = ""
        ended.go()  # repaired, it is asked again from the beginning
    assert ended.report is not None
    assert ended.report.verdict.startswith(BETTER)
    assert ended.report.faults == ()


@pytest.mark.parametrize(
    ("fault", "name", "times"),
    [
        ("rate-limited", "rate-limited", 5),
        ("rate-limited-inside", "rate-limited", 3),
        ("cut-off", "cut-off", 2),
        ("no-end", "cut-off", 2),
        ("error-inside", "cut-off", 2),
        ("malformed", "malformed", 2),
        ("wrong-shape", "malformed", 2),
    ],
)
@pytest.mark.usefixtures("plain")
def test_what_passes_costs_another_attempt_and_is_listed(
    workspace: Workspace, suite: Path, fault: str, name: str, times: int
) -> None:
    with fault_server(fault, answer, after=8, times=times) as server:  # type: ignore[arg-type]
        ended = Ended(workspace, suite, server)
    made = ended.report
    assert made is not None
    assert made.verdict.startswith(BETTER)
    assert {(one.code, one.voids) for one in made.faults} == {(name, False)}
    attempts = [one.attempts for item in made.outcomes for some in item.answers.values() for one in some]
    assert sum(attempts) == 2 * PROMPTS + times


@pytest.mark.parametrize(("fault", "name"), [("hang", "hang"), ("endless", "malformed")])
@pytest.mark.usefixtures("plain")
def test_an_answer_that_never_comes_leaves_no_verdict_until_it_was_asked_for_again(
    workspace: Workspace, suite: Path, fault: str, name: str
) -> None:
    with fault_server(fault, answer, after=9, times=1) as server:  # type: ignore[arg-type]
        ended = Ended(workspace, suite, server)
        first = ended.report
        asked = len(server.seen)
        ended.go()
        assert ended.report is not None
        assert ended.report.verdict.startswith(BETTER)
        assert len(server.seen) - asked < PROMPTS  # those that were answered are not asked again
    assert first is not None
    if name == "hang":
        assert first.verdict.startswith("No verdict: an answer could not be had")
        assert not first.conclusive
    assert {one.code for one in first.faults} == {name}


@pytest.mark.parametrize("fault", ["cut-off", "malformed", "rate-limited", "refused"])
@pytest.mark.usefixtures("plain")
def test_a_server_that_does_nothing_else_ends_the_run(workspace: Workspace, suite: Path, fault: str) -> None:
    with fault_server(fault, answer, after=9) as server:  # type: ignore[arg-type]
        ended = Ended(workspace, suite, server)
    assert ended.report is None
    assert "answers in a row could not be had" in ended.refused


def test_a_server_that_counts_nothing_is_said_and_its_tokens_are_counted_here(
    workspace: Workspace, suite: Path
) -> None:
    with fault_server("no-usage", answer) as server:
        made = Ended(workspace, suite, server).report
    assert made is not None
    assert made.verdict.startswith(BETTER)
    assert {(one.side, one.code) for one in made.faults} == {("baseline", "no-usage"), ("tuned", "no-usage")}
    assert all("were counted here" in one.message for one in made.faults)
    assert all(one.tokens > 0 for item in made.outcomes for some in item.answers.values() for one in some)


def test_where_any_name_is_answered_the_report_says_that_nothing_is_proven(workspace: Workspace, suite: Path) -> None:
    with fault_server("any-name", answer) as server:
        made = Ended(workspace, suite, server).report
    assert made is not None
    assert [side.proven for side in made.sides] == [False, False]
    assert all("any name" in " ".join(side.notes) for side in made.sides)


def test_a_prompt_that_is_asked_again_counts_with_its_new_answers_alone(workspace: Workspace, suite: Path) -> None:
    with fault_server("", answer) as server:
        ended = Ended(workspace, suite, server)
        server.answer = lambda model, prompt: "nothing"
        asked = len(server.seen)
        run.Journal(ended.run.journal).write(run.Again(prompt=3))
        ended.go()
        assert {body["messages"][-1]["content"][:11] for body in server.seen[asked + 4 :]} == {"Question 3:"}
    made = ended.report
    assert made is not None
    assert [item.rate("tuned") for item in made.outcomes] == [1.0] * 3 + [0.0] + [1.0] * 10
    assert [item.asked_again for item in made.outcomes] == [0] * 3 + [1] + [0] * 10
    assert made.verdict.endswith("By hand a prompt was asked again: what was answered before does not count.")


def test_samples_differ_in_their_seeds_alone_and_alike_on_both_sides_and_no_prompt_is_drawn_like_another(
    workspace: Workspace, suite: Path
) -> None:
    with fault_server("", answer) as server:
        made = Ended(workspace, suite, server, samples=3, seed=7).report
    assert made is not None
    asked = [body for body in server.seen if body["max_tokens"] == 256]
    assert {body["temperature"] for body in asked} == {0.7}
    seeds: dict[str, dict[str, list[int]]] = {"base": {}, "tuned": {}}
    for body in asked:
        seeds[body["model"]].setdefault(body["messages"][-1]["content"], []).append(body["seed"])
    drawn = {prompt: sorted(found) for prompt, found in seeds["base"].items()}
    assert {prompt: sorted(found) for prompt, found in seeds["tuned"].items()} == drawn
    assert all(found == [found[0], found[0] + 1, found[0] + 2] for found in drawn.values())
    assert len({seed for found in drawn.values() for seed in found}) == 3 * PROMPTS
    assert made.tallies == {"baseline": (0, 3 * PROMPTS), "tuned": (3 * PROMPTS, 3 * PROMPTS)}
    assert made.samples == 3


class Sides:
    """Two endpoints in this process, in place of those that a run would open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.both = [Scripted(name, partial(self.say, name), digest=name) for name in ("base", "tuned")]
        self.hook: Callable[[Question], None] = lambda question: None
        monkeypatch.setattr(run, "opened", self.opened)

    def say(self, name: str, question: Question) -> str:
        self.hook(question)
        return answer(name, question.prompt)

    @asynccontextmanager
    async def opened(self, *_: object, **__: object) -> AsyncIterator[list[Scripted]]:
        yield self.both


def test_a_server_that_was_given_another_model_meanwhile_is_found_out_at_the_end(
    workspace: Workspace, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = Sides(monkeypatch)
    with fault_server() as server:

        def change(question: Question) -> None:
            sides.both[1].digest = "another"

        sides.hook = change
        ended = Ended(workspace, suite, server)
        assert (ended.report, ended.codes) == (None, {"wrong-model"})
        sides.hook = lambda question: None
        ended.go()
    assert ended.report is not None
    assert ended.report.verdict.startswith(BETTER)
    assert ended.report.side("tuned").digest == "another"


def test_after_an_interruption_only_a_side_that_another_model_answers_for_is_asked_anew(
    workspace: Workspace, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = Sides(monkeypatch)
    with fault_server() as server:
        places = run.create(workspace, str(suite), f"openai:{server.url}#base", f"openai:{server.url}#tuned")

        def stop(question: Question) -> None:
            if len(sides.both[1].asked) > 8:
                (places.folder / "stop").touch()

        sides.hook = stop
        run.run(places.folder, load_job(places.folder / "job.toml"))
    before = [len(one.asked) for one in sides.both]
    (places.folder / "stop").unlink()
    sides.hook = lambda question: None
    sides.both[1].digest = "another"
    run.run(places.folder, load_job(places.folder / "job.toml"))
    asked = [
        len({question.prompt for question in one.asked[many:] if question.max_tokens == 256})
        for one, many in zip(sides.both, before, strict=True)
    ]
    assert asked == [PROMPTS - PROMPTS // 2, PROMPTS]
    assert report.load(workspace.reports / places.id).conclusive


KEY = "sk-planted-key-7"


def test_a_key_that_a_server_repeats_is_written_nowhere(
    workspace: Workspace, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its answers, whose pieces part it, and as the name of a model."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(lane, "_PIECE_SECONDS", 0.0)
    with fault_server("", lambda model, prompt: f"{model} got Bearer {KEY} of you: tuned") as server:
        ended = Ended(workspace, suite, server)
        assert ended.report is not None
        server.fault = "changed-model"
        server.other = lambda model: KEY  # type: ignore[method-assign]
        assert "answers with another model" in Ended(workspace, suite, server).refused
        server.fault, server.models = "wrong-model", ("base", "tuned", KEY)
        assert "answers as <key>" in Ended(workspace, suite, server).refused
    files = [path for path in workspace.root.rglob("*") if path.is_file()]
    assert [path for path in files if b"planted" in path.read_bytes()] == []
    assert any(b"got Bearer <key> of you" in path.read_bytes() for path in files)


def test_a_piece_of_a_key_waits_for_the_rest_of_it() -> None:
    keys.Key(KEY)
    said = ["", f"it is {KEY[:9]}", f"it is {KEY}", f"it is {KEY}, I think", "it is sk"]
    assert [keys.hidden_so_far(one) for one in said] == ["", "it is ", "it is <key>", "it is <key>, I think", "it is "]


def test_a_base_that_is_named_from_here_is_still_meant_where_the_run_works(
    workspace: Workspace, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    made = run.create(workspace, str(suite), "base:./models/tiny", "base:models/tiny").file.job
    free = run.create_free(workspace, "Hello", "base:./models/tiny", "base:lab/elsewhere").file.job
    here = f"base:{tmp_path / 'models' / 'tiny'}"
    assert isinstance(made, Verify)
    assert isinstance(free, Verify)
    assert (made.baseline, made.tuned, free.baseline, free.tuned) == (here, here, here, "base:lab/elsewhere")


def test_what_is_not_alike_on_both_sides_or_not_measured_apart_is_said(
    workspace: Workspace, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = Sides(monkeypatch)
    for one in sides.both:
        one.engine, one.pid = "openai", os.getpid()
    with fault_server() as server:
        greedy = Ended(workspace, suite, server).report
        drawn = Ended(workspace, suite, server, samples=2, fresh=True).report
    memory = "its memory is that of one process, which answers for {} as well"
    assert greedy is not None
    assert [side.notes for side in greedy.sides] == [(memory.format("tuned"),), (memory.format("baseline"),)]
    assert drawn is not None
    assert all("top_p, top_k and penalties" in side.notes[-1] for side in drawn.sides)
