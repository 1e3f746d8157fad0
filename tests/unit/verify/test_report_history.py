"""How versions did one after another: on the same prompts, in the order of their numbers."""

from __future__ import annotations

import json

import msgspec
import pytest

from judged_reports import judged
from lora_tui.cli.main import run
from lora_tui.verify.asking import Sampling
from lora_tui.verify.reports import files as report_files
from lora_tui.verify.reports.history import history
from lora_tui.verify.reports.report import Gate, Report
from lora_tui.workspace.layout import Workspace

P, F = [True], [False]


def of(version: str, passed: int, *, created: float = 0.0, sha256: str = "s1", words: tuple[str, ...] = ()) -> Report:
    """A report about coder@version that passes the first so many of 20 prompts."""
    rows = [P] * passed + [F] * (20 - passed)
    tuned = f"adapter:coder@{version}"
    made = judged([F] * 20, rows, endpoints={"tuned": tuned}, identity=f"r-{version}", prompts=words)
    return msgspec.structs.replace(made, created=created, suite_sha256=sha256)


def test_each_version_is_compared_with_the_one_before_prompt_by_prompt() -> None:
    steps = history([of("1.10.0", 19, created=3), of("1.2.0", 11, created=2), of("1.0.0", 5, created=1)])
    assert [step.label for step in steps] == ["coder@1.0.0", "coder@1.2.0", "coder@1.10.0"]
    assert [step.rate.passed for step in steps if step.rate] == [5, 11, 19]
    assert [step.before for step in steps] == ["", "coder@1.0.0", "coder@1.2.0"]
    changes = [(found.gained, found.lost, found.outcome) for step in steps if (found := step.change)]
    assert changes == [(6, 0, "better"), (8, 0, "better")]
    assert not any(step.notes for step in steps)


def test_of_a_version_the_newest_report_counts_also_when_an_older_version_is_tried_again() -> None:
    steps = history([of("1.0.0", 5, created=1), of("1.1.0", 9, created=2), of("1.0.0", 7, created=3)])
    assert [(step.label, step.rate.passed) for step in steps if step.rate] == [("coder@1.0.0", 7), ("coder@1.1.0", 9)]


def test_where_the_suite_changed_only_what_stayed_is_compared_and_it_is_said() -> None:
    words = (*(f"question {number}" for number in range(12)), *(f"new {number}" for number in range(8)))
    old, new = history([of("1.0.0", 5), of("1.1.0", 20, sha256="s2", words=words)])
    assert new.change is not None
    assert (new.change.prompts, new.change.gained) == (12, 7)
    assert new.notes == ("the suite changed: 12 of 20 prompts are as they were",)
    assert old.notes == ()


def test_answers_drawn_otherwise_or_by_another_engine_are_said() -> None:
    sampled = msgspec.structs.replace(of("1.1.0", 6), sampling=Sampling(0.7))
    (baseline, tuned) = sampled.sides
    served = msgspec.structs.replace(tuned, engine="vllm", version="0.32.0")
    (_, new) = history([of("1.0.0", 5), msgspec.structs.replace(sampled, sides=(baseline, served))])
    assert new.notes == ("answers were drawn otherwise", "by vllm 0.32.0 after llama.cpp b1")


def test_what_was_not_judged_is_in_no_rate_and_no_difference() -> None:
    rows = [[None], *[P] * 19]
    unjudged = judged([F] * 20, rows, endpoints={"tuned": "adapter:coder@1.1.0"}, identity="r-2")
    (_, new) = history([of("1.0.0", 20), msgspec.structs.replace(unjudged, suite_sha256="s1")])
    assert new.rate is not None
    assert (new.rate.passed, new.rate.samples) == (19, 19)
    assert new.change is not None
    assert (new.change.prompts, new.change.lost) == (19, 0)


def test_the_command_finds_a_suite_an_adapter_or_a_version(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    gates = (Gate("better", True), Gate("latency < 1 s", False))
    for made in (of("1.0.0", 5), msgspec.structs.replace(of("1.1.0", 14), gates=gates)):
        report_files.write(made, workspace.reports / made.id)

    def typed(*words: str) -> int:
        return run(["--workspace", str(workspace.root), "reports", "history", *words])

    for name in ("dozen", "coder", "coder@1.1.0", ""):
        assert typed(*([name] if name else []), "--json") == 0
        assert [step["label"] for step in json.loads(capsys.readouterr().out)] == ["coder@1.0.0", "coder@1.1.0"]
    assert typed() == 0
    lines = capsys.readouterr().out.splitlines()
    assert "25 % (11.2 to 46.9 %)" in lines[1]
    assert "70 % (48.1 to 85.5 %)  +45.0 points, 9 better 0 worse  better (p = 0.004)  1 passed, 1 failed" in lines[2]
    assert typed("nobody") == 2
    assert "no report is about 'nobody'" in capsys.readouterr().err
