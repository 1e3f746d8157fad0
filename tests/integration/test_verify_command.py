"""`verify` as a person or a CI job types it, against a real server on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fakes.chat_server import REFUSE, chat_server
from lora_tui.cli.main import run
from lora_tui.jobs import supervisor
from lora_tui.verify.reports import report
from lora_tui.workspace.layout import Workspace

CASE = '  - {{vars: {{prompt: "Task {}"}}, assert: [{{type: contains, value: good}}]}}\n'


@pytest.fixture
def suite(tmp_path: Path) -> str:
    """Twelve prompts that want to be answered with "good"."""
    path = tmp_path / "dozen.yaml"
    path.write_text("tests:\n" + "".join(CASE.format(number) for number in range(12)))
    return str(path)


@contextmanager
def answering(good: Callable[[str, int], bool]) -> Iterator[tuple[list[str], list[dict[str, object]]]]:
    """The options that name a base and a fine-tune which answer well where `good(model, task)`; the requests seen."""

    def answer(model: str, prompt: str) -> str:
        task = prompt.removeprefix("Task ")
        return f"{'good' if task.isdigit() and good(model, int(task)) else 'bad'} says {model}"

    with chat_server(answer) as (url, seen):
        yield ["--baseline", f"openai:{url}#base", "--tuned", f"openai:{url}#tuned"], seen


def typed(workspace: Workspace, *words: str) -> int:
    return run(["--workspace", str(workspace.root), *words])


def questions(seen: list[dict[str, object]], max_tokens: int) -> list[dict[str, object]]:
    """The requests of the suite, without those that find out who answers and warm up."""
    return [request for request in seen if "Task" in str(request["messages"]) and request["max_tokens"] == max_tokens]


def test_gates_decide_the_exit_code(
    workspace: Workspace, suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(lambda model, task: model == "tuned" or task < 2) as (both, _):
        assert typed(workspace, "verify", suite, *both, "--gate", "better", "--gate", "success >= 50 %") == 0
        out, _ = capsys.readouterr()
        assert "fine-tune 12 of 12 (100 %), baseline 2 of 12 (17 %)" in out
        assert "✓ passed     better  (+83.3 points" in out

        assert typed(workspace, "verify", suite, *both, "--gate", "better", "--gate", "success >= 98 %") == 3
        out, err = capsys.readouterr()
        assert "? undecided  success >= 98 %  (100 % (12 of 12): 95 % interval 75.8 to 100 %; about 177 more" in out
        assert "1 gate undecided: success >= 98 %" in err

        swapped = ["--baseline", both[3], "--tuned", both[1]]
        junit = tmp_path / "made.xml"
        gates = ["--gate", "better", "--gate", "success >= 98 %", "--junit", str(junit)]
        assert typed(workspace, "verify", suite, *swapped, *gates) == 1
        out, err = capsys.readouterr()
        assert "✗ FAILED     better" in out
        assert "2 gates failed: better (-83.3 points); success >= 98 %" in err

        (tmp_path / "file").touch()
        assert typed(workspace, "verify", suite, *both, "--junit", str(tmp_path / "file" / "made.xml")) == 1
        out, err = capsys.readouterr()
        assert "fine-tune 12 of 12 (100 %)" in out  # what was found is told all the same
        assert "cannot write" in err
    suites = ElementTree.parse(junit).getroot().findall("testsuite")
    assert [(item.get("tests"), item.get("failures")) for item in suites] == [("12", "10"), ("2", "2")]


def test_what_can_never_be_measured_is_refused_before_anything_is_asked(
    workspace: Workspace, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(lambda model, task: True) as (both, seen):
        assert typed(workspace, "verify", suite, *both, "--gate", "sucess >= 98 %") == 2
        assert "'sucess >= 98 %' is no gate" in capsys.readouterr().err
        assert typed(workspace, "verify", suite, *both, "--samples", "3", "--temperature", "0") == 2
        assert typed(workspace, "verify", suite, *both, "--concurrency", "many") == 2
        assert seen == []
    assert supervisor.runs(workspace) == []


def test_every_option_reaches_the_questions(
    workspace: Workspace, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(lambda model, task: model != "base") as (both, seen):
        third = both[1].replace("#base", "#third")
        drawn = ["--samples", "3", "--temperature", "0.4", "--seed", "7", "--max-tokens", "99", "--concurrency", "2"]
        assert typed(workspace, "verify", suite, *both, "--other", third, *drawn, "--fresh", "--json") == 0
    asked = questions(seen, 99)
    assert {request["model"] for request in asked} == {"base", "tuned", "third"}
    assert len(asked) == 3 * 12 * 3
    out, err = capsys.readouterr()
    made = json.loads(out)
    assert made["sampling"] == {"temperature": 0.4, "max_tokens": 99, "seed": 7}
    assert [side["label"] for side in made["sides"]] == ["baseline", "tuned", "other 1"]
    assert {side["at_once"] for side in made["sides"]} == {2}
    assert " of 108 answers" in err
    assert len(err.splitlines()) < 40  # a line for every tenth part, not for every answer


def test_a_profile_brings_its_suite_its_gates_and_how_long_answers_are(
    workspace: Workspace, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace.profiles / "mine.toml").write_text(
        'name = "mine"\nextends = "tiny"\n[verification]\n'
        f'suite = "{suite}"\ngates = ["success >= 50 %"]\nmax_tokens = 77\n'
    )
    with answering(lambda model, task: True) as (both, seen):
        assert typed(workspace, "verify", "--profile", "mine", *both, "--gate", "latency < 30 s", "--json") == 0
    assert len(questions(seen, 77)) == 2 * 12
    made = json.loads(capsys.readouterr().out)
    assert [gate["text"] for gate in made["gates"]] == ["success >= 50 %", "latency < 30 s"]
    assert made["profile"] == "mine"


def test_a_missing_answer_is_a_failure_whatever_the_gates_say_and_resume_asks_for_it(
    workspace: Workspace, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = True

    def answer(model: str, prompt: str) -> str:
        return REFUSE if broken and (model, prompt) == ("tuned", "Task 3") else "good"

    with chat_server(answer) as (url, _):
        both = ["--baseline", f"openai:{url}#base", "--tuned", f"openai:{url}#tuned"]
        assert typed(workspace, "verify", suite, *both, "--gate", "success >= 50 %") == 1
        out, err = capsys.readouterr()
        assert "? undecided  success >= 50 %  (an answer could not be had)" in out
        assert "lora-tui runs resume" in err
        broken = False
        assert supervisor.wait(supervisor.find(workspace, "latest"), 10)
        assert typed(workspace, "runs", "resume") == 0
    made = report.find(workspace, "latest")
    assert made.conclusive
    assert [gate.passed for gate in made.gates] == [True]


def test_detached_it_goes_on_by_itself(workspace: Workspace, suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(lambda model, task: True) as (both, _):
        assert typed(workspace, "verify", suite, *both, "--detach", "--json") == 0
        started = supervisor.find(workspace, json.loads(capsys.readouterr().out)["id"])
        assert supervisor.wait(started, 60)
    assert report.find(workspace, started.id).result.prompts == 12
