"""A report as files: report.json, report.md for people, answers.jsonl with a line per answer."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lora_tui.verify.reports.markdown import markdown
from lora_tui.verify.reports.report import Report
from lora_tui.workspace import atomic


def write(report: Report, folder: Path) -> None:
    """Write the three files; report.json comes last and makes the report exist."""
    atomic.write_text(folder / "answers.jsonl", answers(report))
    atomic.write_text(folder / "report.md", markdown(report))
    atomic.write_text(folder / "report.json", as_json(report))


def answers(report: Report) -> str:
    """A line of JSON for each answer of each side."""
    every = [answer for item in report.outcomes for some in item.answers.values() for answer in some]
    return "".join(msgspec.json.encode(answer).decode() + "\n" for answer in every)


def as_json(report: Report) -> str:
    """The whole report, as `report.load` reads it."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode()
