"""Reports: a suite's answers from both sides with the paired result, as JSON, Markdown and JSON lines."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import msgspec

from lora_tui.jobs.journal import Answer
from lora_tui.verify.statistics import Paired, paired
from lora_tui.verify.suite import Suite
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

SIDES = ("baseline", "tuned")


class Outcome(msgspec.Struct, frozen=True):
    """One prompt with both answers."""

    description: str
    prompt: str
    baseline: Answer
    tuned: Answer


class Report(msgspec.Struct, frozen=True):
    """report.json."""

    id: str
    suite: str
    baseline: str
    tuned: str
    created: float  # epoch seconds
    result: Paired
    outcomes: list[Outcome]
    errors: int = 0  # answers that could not be had


def passed(answer: Answer) -> bool:
    """An answer passes when it came and met every expectation."""
    return not answer.error and all(check.passed for check in answer.checks)


def make(identity: str, suite: Suite, names: tuple[str, str], answers: dict[tuple[int, str], Answer]) -> Report:
    """The report of a complete run: `answers` holds every prompt's answer from 'baseline' and 'tuned'."""
    outcomes = [
        Outcome(case.description, case.prompt, answers[number, "baseline"], answers[number, "tuned"])
        for number, case in enumerate(suite.cases)
    ]
    result = paired([passed(item.baseline) for item in outcomes], [passed(item.tuned) for item in outcomes])
    errors = [answer.error for item in outcomes for answer in (item.baseline, item.tuned) if answer.error]
    if errors:  # a fault of a server says nothing about a model
        verdict = f"No verdict: {len(errors)} answers could not be had ({errors[0]})."
        result = msgspec.structs.replace(result, verdict=verdict)
    return Report(
        id=identity,
        suite=suite.name,
        baseline=names[0],
        tuned=names[1],
        created=time.time(),
        result=result,
        outcomes=outcomes,
        errors=len(errors),
    )


def write(report: Report, folder: Path) -> None:
    """Write report.json, report.md and answers.jsonl; report.json comes last and makes the report exist."""
    encode = msgspec.json.encode
    lines = [encode(getattr(outcome, side)) for outcome in report.outcomes for side in SIDES]
    atomic.write_bytes(folder / "answers.jsonl", b"".join(line + b"\n" for line in lines))
    atomic.write_text(folder / "report.md", markdown(report))
    atomic.write_bytes(folder / "report.json", msgspec.json.format(encode(report), indent=1))


def reports(workspace: Workspace) -> list[Report]:
    """Every readable report, newest first."""
    found = []
    for path in workspace.reports.glob("*/report.json"):
        with contextlib.suppress(BadInput):
            found.append(load(path.parent))
    return sorted(found, key=lambda item: item.created, reverse=True)


def load(folder: Path) -> Report:
    """Read one report. Raises BadInput when it is not there or damaged."""
    try:
        return msgspec.json.decode((folder / "report.json").read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(f"there is no readable report: {error}", where=str(folder)) from error


def markdown(report: Report) -> str:
    """The report for people."""
    result = report.result
    lines = [
        f"# {report.tuned} against {report.baseline}",
        "",
        f"Suite `{report.suite}`: the fine-tune passes {result.tuned_passed} of {result.prompts} prompts, "
        f"the baseline {result.baseline_passed}; {result.gained} gained, {result.lost} lost.",
        "",
        f"**{result.verdict}**",
    ]
    for number, outcome in enumerate(report.outcomes, start=1):
        lines += ["", f"## {number}. {outcome.description}", "", *_quoted(outcome.prompt)]
        for side in SIDES:
            answer: Answer = getattr(outcome, side)
            lines += ["", f"### {side}: {'pass' if passed(answer) else 'fail'}", ""]
            lines += [f"- {'✓' if item.passed else '✗'} {item.expectation}" for item in answer.checks]
            lines += ["", *_quoted(answer.error or answer.text)]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()] or ["    (nothing)"]
