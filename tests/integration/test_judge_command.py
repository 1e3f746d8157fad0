"""`lora-tui judge`, as a person types it, against a chat server on loopback."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from fakes.chat_server import REFUSE, chat_server
from lora_tui.cli.main import run
from lora_tui.verify.reports.report import Report
from lora_tui.verify.votes import cast, of, pairs
from lora_tui.workspace.layout import Workspace
from written_reports import written


@pytest.fixture
def report(workspace: Workspace) -> Report:
    return written(workspace, {side: [[f"{side} {number}"] for number in range(12)] for side in ("baseline", "tuned")})


def for_tuned(model: str, prompt: str) -> str:
    """A judge that prefers the fine-tune's answer, wherever it stands."""
    found = dict(re.findall(r"<<<\w+ ANSWER ([AB])\n(.*?)\nEND ANSWER", prompt, re.S))
    return json.dumps({"reason": "it is better", "better": "A" if "tuned" in found.get("A", "") else "B"})


def typed(workspace: Workspace, *arguments: str) -> int:
    return run(["--workspace", str(workspace.root), "judge", *arguments])


def test_every_pair_is_judged_in_both_orders_and_its_trust_is_said_before_its_verdict(
    workspace: Workspace, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    for pair in pairs(report, "ann"):
        better = "tuned" if pair.prompt < 9 else "baseline"
        cast(workspace, report.id, of(pair, "first" if pair.first == better else "second", "ann"))
    with chat_server(for_tuned) as (url, seen):
        name = f"openai:{url}#reader"
        assert typed(workspace, "latest", "--judge", name) == 0
        asked = [request for request in seen if request["max_tokens"] == 1024]
        assert len(asked) == 24
        said = capsys.readouterr().out
        trust = said.index("Not trusted: it agrees with people on 9 of 12 pairs (75%), kappa 0.00")
        order = said.index("contradicted itself on 0 of 12")
        assert trust < order < said.index("Its verdict: The fine-tune is preferred")
        assert typed(workspace, "latest", "--judge", name) == 0  # nothing is left to ask
        assert len([request for request in seen if request["max_tokens"] == 1024]) == 24
        assert typed(workspace, "latest", "--judge", name, "--rubric", "which is shorter", "--prompt", "2") == 0
        assert len([request for request in seen if request["max_tokens"] == 1024]) == 26
        assert "which is shorter" in str(seen[-1]["messages"])
    capsys.readouterr()
    assert typed(workspace, "latest", "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [(one["rubric"] == "which is shorter", one["judged"]) for one in found["judges"]] == [(False, 12), (True, 1)]
    assert found["judges"][0]["trusted"] is False
    assert found["judges"][0]["tally"]["test"]["tuned"] == 12
    assert len((workspace.reports / report.id / "judgements.jsonl").read_text().splitlines()) == 13


def test_a_judge_that_answers_nothing_usable_says_so_and_is_asked_again_later(
    workspace: Workspace, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = True
    with chat_server(lambda model, prompt: REFUSE if broken else for_tuned(model, prompt)) as (url, _):
        name = f"openai:{url}#reader"
        broken = False
        assert typed(workspace, report.id, "--judge", name, "--prompt", "1") == 0
        capsys.readouterr()
        broken = True
        assert typed(workspace, report.id, "--judge", name) == 1
        assert "503" in capsys.readouterr().err
        broken = False
        assert typed(workspace, report.id, "--judge", name) == 0
    assert "contradicted itself on 0 of 12" in capsys.readouterr().out


def test_what_was_judged_of_answers_that_are_gone_is_left_out_and_counted(
    workspace: Workspace, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    with chat_server(for_tuned) as (url, _):
        assert typed(workspace, report.id, "--judge", f"openai:{url}#reader") == 0
    capsys.readouterr()
    again = {
        side: [[f"{side} {'again' if number < 2 else number}"] for number in range(12)]
        for side in ("baseline", "tuned")
    }
    written(workspace, again)  # two of its prompts were asked again
    assert typed(workspace, report.id) == 0
    said = capsys.readouterr().out
    assert "2 left out: their prompts were asked again since." in said
    assert said.count("it is better") == 10
    assert "on 0 of 10 pairs" in said


def test_a_judge_of_its_own_answers_is_warned_of(
    workspace: Workspace, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    with chat_server(for_tuned) as (url, _):
        sides = {"baseline": [["baseline"]], "tuned": [["tuned"]]}
        written(workspace, sides, identity="r2")
        path = workspace.reports / "r2" / "report.json"
        path.write_text(path.read_text().replace("http://127.0.0.1:1/v1", url))
        assert typed(workspace, "r2", "--judge", f"openai:{url}#tuned") == 0
    said, beside = capsys.readouterr()
    assert "the judge is the tuned model itself" in said
    assert "the judge is the tuned model itself" in beside


def test_what_cannot_be_judged_is_refused(
    workspace: Workspace, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(workspace, report.id) == 2
    assert "no judge has compared its answers" in capsys.readouterr().err
    assert typed(workspace, report.id, "--judge", "nonsense") == 2
    assert typed(workspace, "unknown", "--judge", "base:x") == 2
    name = "openai:http://127.0.0.1:1/v1#reader"
    capsys.readouterr()
    assert typed(workspace, report.id, "--judge", name, "--prompt", "13") == 2
    assert "there is no prompt 13" in capsys.readouterr().err
    assert typed(workspace, report.id, "--judge", name, "--rubric", " ") == 2
    assert "the rubric is empty" in capsys.readouterr().err
