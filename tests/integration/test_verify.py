"""Verification as its own process, against real servers on loopback."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fakes.chat_server import CUT, ECHO, REFUSE, chat_server
from lora_tui.jobs import supervisor
from lora_tui.jobs.journal import Answer, AnswerDelta, JournalReader, Progress
from lora_tui.jobs.view import RunView
from lora_tui.verify.reports import report
from lora_tui.verify.running import run
from lora_tui.verify.sandbox import available
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

SUITE = """\
description: two prompts
tests:
  - vars: {prompt: "Add the numbers"}
    assert: [{type: contains, value: sum}]
  - vars: {prompt: "Reverse the list"}
    assert: [{type: contains, value: rev}, {type: not-contains, value: sorry}]
"""


EASY = '  - {{vars: {{prompt: "{}"}}, assert: [{{type: contains, value: sum}}]}}\n'


def questions(seen: list[dict[str, object]]) -> list[dict[str, object]]:
    """The requests without those that warm up."""
    return [request for request in seen if request["max_tokens"] == 256]


@pytest.fixture
def suite(tmp_path: Path) -> str:
    path = tmp_path / "two.yaml"
    path.write_text(SUITE)
    return str(path)


def verify(workspace: Workspace, suite: str, url: str) -> RunView:
    started = run.create(workspace, suite, f"openai:{url}#base", f"openai:{url}#tuned")
    supervisor.start(started)
    assert supervisor.wait(started, 60)
    return RunView.of(started)


def test_both_sides_are_asked_and_the_report_compares_them_prompt_by_prompt(workspace: Workspace, suite: str) -> None:
    def answer(model: str, prompt: str) -> str:
        return {"base": "sorry no idea", "tuned": f"use sum or rev for {prompt}"}[model]

    with chat_server(answer) as (url, seen):
        view = verify(workspace, suite, url)
    assert view.state == "finished", view.failure
    assert len(questions(seen)) == 4
    assert all(request["temperature"] == 0 for request in seen)
    made = report.load(workspace.reports / view.run.id)
    assert made.tallies == {"baseline": (0, 2), "tuned": (2, 2)}
    assert made.result.gained == 2
    assert made.verdict.startswith("Too few prompts")
    text = (workspace.reports / view.run.id / "report.md").read_text()
    assert "✗ contains 'sum'" in text
    assert "✓ contains 'sum'" in text
    assert len((workspace.reports / view.run.id / "answers.jsonl").read_text().splitlines()) == 4
    assert [item.id for item in report.reports(workspace)] == [view.run.id]


def test_the_code_of_answers_is_tried_and_what_waits_for_a_judge_counts_for_nobody(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "code.yaml"
    path.write_text(
        "defaultTest: {metadata: {language: python}}\n"
        "tests:\n"
        "  - vars: {prompt: Double it}\n"
        "    assert: [{type: x-code-tests, value: {tests: assert double(2) == 4}}, {type: latency, threshold: 60000}]\n"
        "  - vars: {prompt: Be kind}\n"
        "    assert: [{type: llm-rubric, value: Is kind}]\n"
    )

    def answer(model: str, prompt: str) -> str:
        return f"Here:\n```python\ndef double(n):\n    return {'n' if model == 'base' else '2 * n'}\n```\n"

    with chat_server(answer) as (url, _):
        view = verify(workspace, str(path), url)
    made = report.load(workspace.reports / view.run.id)
    kind = made.outcomes[1]
    assert {report.verdict_of(item) for some in kind.answers.values() for item in some} == {"not run"}
    here = available("python") is not None
    assert (made.not_run, made.result.prompts) == ((1, 1) if here else (2, 0))
    assert (made.tallies["baseline"][0], made.tallies["tuned"][0]) == (0, 1 if here else 0)
    assert "were not judged (" in made.verdict
    checks = made.outcomes[0].answers["tuned"][0].checks
    assert [item.expectation for item in checks] == ["x-code-tests (python)", "latency within 60000 ms"]
    assert (checks[0].passed, checks[1].passed) == (here, True)


def test_the_answers_stream_into_the_journal(workspace: Workspace, suite: str) -> None:
    with chat_server(lambda model, prompt: "one two three sum rev", pause=0.15) as (url, _):
        view = verify(workspace, suite, url)
    events = [json.loads(line) for line in view.run.journal.read_text().splitlines()]
    kinds = [event["type"] for event in events]
    assert kinds.count("answer") == 4
    assert AnswerDelta.__struct_config__.tag in kinds
    assert view.partial == {}
    answer = view.answers[0, "tuned", 0]
    assert isinstance(answer, Answer)
    assert 0 < answer.first_token_seconds <= answer.seconds


def test_what_is_done_before_the_first_answer_is_told(workspace: Workspace, suite: str) -> None:
    with chat_server(lambda model, prompt: "sum rev") as (url, _):
        view = verify(workspace, suite, url)
    events = JournalReader(view.run.journal).read()
    before = events[: next(at for at, event in enumerate(events) if isinstance(event, Answer))]
    assert [event.stage for event in before if isinstance(event, Progress)] == [
        "ask who the baseline is",
        "ask who the fine-tune is",
        "warm the baseline up",
        "warm the fine-tune up",
        "answers",
    ]


@pytest.mark.parametrize(("fault", "message"), [(REFUSE, "503"), (f"use sum {CUT} rev", "broke off|does not answer")])
def test_a_servers_fault_is_an_error_of_that_answer_and_never_a_pass(
    workspace: Workspace, suite: str, fault: str, message: str
) -> None:
    def answer(model: str, prompt: str) -> str:
        return fault if model == "tuned" and prompt.startswith("Reverse") else "sum rev"

    with chat_server(answer) as (url, _):
        path = Path(suite)
        path.write_text(path.read_text() + "".join(EASY.format(number) for number in range(2)))
        view = verify(workspace, suite, url)
    made = report.load(workspace.reports / view.run.id)
    assert made.verdict.startswith("No verdict: an answer could not be had")
    assert not made.conclusive
    assert [side for side, some in made.outcomes[1].answers.items() if re.search(message, some[0].error)] == ["tuned"]
    assert [(fault.side, fault.times) for fault in made.faults if fault.code != "no-usage"] == [("tuned", 1)]


def test_started_again_it_asks_only_what_is_missing(workspace: Workspace, suite: str) -> None:
    with chat_server(lambda model, prompt: "sum rev") as (url, seen):
        view = verify(workspace, suite, url)
        (workspace.reports / view.run.id / "report.json").unlink()
        supervisor.start(view.run)
        assert supervisor.wait(view.run, 60)
        assert len(questions(seen)) == 4
    assert (workspace.reports / view.run.id / "report.json").is_file()


def test_a_server_that_is_not_there_is_said_and_nothing_is_concluded(workspace: Workspace, suite: str) -> None:
    view = verify(workspace, suite, "http://127.0.0.1:9")
    assert view.state == "failed"
    assert "does not answer" in view.failure
    assert report.reports(workspace) == []


@pytest.mark.parametrize("key", ["sk-planted-key-7", "sk-planted-key-7\n", "sk-planted-kéy-7"])
def test_the_api_key_is_in_no_file_whatever_the_server_says(
    workspace: Workspace, suite: str, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with chat_server(lambda model, prompt: ECHO) as (url, _):
        verify(workspace, suite, url)
    written = [path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()]
    assert len(written) > 3
    assert not any(b"planted" in data for data in written)


@pytest.mark.parametrize(
    "url", ["http://user:hunter2@localhost/v1", "http://localhost/v1?api_key=hunter2", "http://[::1"]
)
def test_a_url_with_a_secret_or_none_at_all_is_refused_and_not_written(
    workspace: Workspace, suite: str, url: str
) -> None:
    with pytest.raises(BadInput) as caught:
        run.create(workspace, suite, f"openai:{url}#m", f"openai:{url}#m")
    assert "hunter2" not in str(caught.value)
    assert supervisor.runs(workspace) == []
