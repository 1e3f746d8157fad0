"""A judge in a run, as its own process against a chat server on loopback."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fakes.chat_server import REFUSE, chat_server
from lora_tui.cli.main import run as command
from lora_tui.jobs import supervisor
from lora_tui.jobs.view import RunView
from lora_tui.verify.reports import report
from lora_tui.verify.running import run
from lora_tui.workspace.layout import Workspace

SUITE = """\
tests:
  - vars: {prompt: "Thank her"}
    assert: [{type: contains, value: thank}, {type: llm-rubric, value: Is kind}]
  - vars: {prompt: "Say no"}
    assert: [{type: llm-rubric, value: Is kind, threshold: 0.5}]
  - vars: {prompt: "Say a word"}
    assert: [{type: contains, value: please}]
"""


@pytest.fixture
def suite(tmp_path: Path) -> str:
    path = tmp_path / "kind.yaml"
    path.write_text(SUITE)
    return str(path)


def answers(model: str, prompt: str) -> str:
    """The models, and a judge that finds what says please kind."""
    if model != "judge":
        return "please, thank you" if model == "tuned" else "thank"
    found = re.search(r"<<<(\w+) ANSWER\n(.*?)\nEND ANSWER \1>>>", prompt, re.S)
    kind = found is not None and "please" in found[2]
    return json.dumps({"reason": "by its words", "pass": kind, "score": float(kind)})


def verify(workspace: Workspace, suite: str, url: str, judge: str = "judge") -> RunView:
    started = run.create(workspace, suite, f"openai:{url}#base", f"openai:{url}#tuned", judge=f"openai:{url}#{judge}")
    supervisor.start(started)
    assert supervisor.wait(started, 60)
    return RunView.of(started)


def test_what_waits_for_a_judge_is_judged_once_all_have_answered(workspace: Workspace, suite: str) -> None:
    with chat_server(answers) as (url, seen):
        view = verify(workspace, suite, url)
    assert view.state == "finished", view.failure
    made = report.load(workspace.reports / view.run.id)
    assert (made.not_run, made.tallies) == (0, {"baseline": (0, 3), "tuned": (3, 3)})
    assert made.judge is not None
    assert (made.judge.endpoint, made.judge.model) == (f"openai:{url}#judge", "judge")
    assert {side.label for side in made.sides} == {"baseline", "tuned"}
    asked = [request["model"] for request in seen if request["max_tokens"] in (256, 1024)]
    assert asked[-4:] == ["judge"] * 4
    assert asked.count("judge") == 4
    checks = made.outcomes[0].answers["baseline"][0].checks
    assert [(check.passed, check.detail) for check in checks] == [(True, ""), (False, "score 0: by its words")]
    assert view.answers[0, "baseline", 0].checks == checks


def test_a_failing_judge_is_said_and_judges_nothing_and_can_be_asked_again(
    workspace: Workspace, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = True

    def answer(model: str, prompt: str) -> str:
        return REFUSE if broken and model == "judge" else answers(model, prompt)

    with chat_server(answer) as (url, seen):
        view = verify(workspace, suite, url)
        made = report.load(workspace.reports / view.run.id)
        assert (made.not_run, made.tallies["tuned"]) == (2, (1, 1))
        reasons = {check.not_run for check in made.outcomes[1].answers["tuned"][0].checks}
        assert any("503" in reason for reason in reasons), reasons
        assert "2 of 3 prompts were not judged" in made.verdict
        broken = False
        models = len([request for request in seen if request["max_tokens"] == 256])
        assert command(["--workspace", str(workspace.root), "runs", "resume", view.run.id]) == 0
        assert len([request for request in seen if request["max_tokens"] == 256]) == models == 6
        again = report.load(workspace.reports / view.run.id)
        assert (again.not_run, again.tallies["tuned"]) == (0, (3, 3))
        capsys.readouterr()
        assert command(["--workspace", str(workspace.root), "runs", "resume", view.run.id]) == 2
        assert "has finished" in capsys.readouterr().err


def test_a_judge_that_is_not_there_leaves_the_rest_of_the_report(workspace: Workspace, suite: str) -> None:
    with chat_server(answers) as (url, _):
        started = run.create(
            workspace, suite, f"openai:{url}#base", f"openai:{url}#tuned", judge="openai:http://127.0.0.1:9/v1#judge"
        )
        supervisor.start(started)
        assert supervisor.wait(started, 60)
    view = RunView.of(started)
    assert view.state == "finished", view.failure
    assert [warning.code for warning in view.warnings] == ["judge"]
    made = report.load(workspace.reports / started.id)
    assert (made.not_run, made.tallies["tuned"]) == (2, (1, 1))
    (check,) = made.outcomes[1].answers["tuned"][0].checks
    assert check.not_run.startswith("no judge: ")


def test_a_judge_of_its_own_answers_is_warned_of(workspace: Workspace, suite: str) -> None:
    with chat_server(lambda model, prompt: '{"pass": true}' if "rubric" in prompt else "please thank") as (url, _):
        view = verify(workspace, suite, url, judge="tuned")
    assert [warning.message for warning in view.warnings] == [
        "the judge is the tuned model itself: models favour their own answers"
    ]
    made = report.load(workspace.reports / view.run.id)
    assert made.judge is not None
    assert "favour their own" in made.judge.notes[-1]
    text = (workspace.reports / made.id / "report.md").read_text()
    section = text.partition("## Judge")[2].partition("##")[0]
    assert "read what `llm-rubric` asks for" in section
    assert "The judge is the tuned model itself: models favour their own answers." in section


def test_verify_takes_a_judge_on_the_command_line(
    workspace: Workspace, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with chat_server(answers) as (url, _):
        sides = ["--baseline", f"openai:{url}#base", "--tuned", f"openai:{url}#tuned"]
        done = command(
            ["--workspace", str(workspace.root), "verify", suite, *sides, "--judge", f"openai:{url}#judge", "--json"]
        )
    assert done == 0
    out, beside = capsys.readouterr()
    made = json.loads(out)
    assert made["judge"]["endpoint"] == f"openai:{url}#judge"
    assert made["not_run"] == 0
    assert "judge: judge by openai" in beside
    assert "prompt 2, tuned: with the judge 1 of 1 expectations met" in beside
