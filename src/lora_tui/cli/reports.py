"""`lora-tui reports`: earlier verification reports."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, ago, json_option, pass_cli, table
from lora_tui.cli.reports_export import export
from lora_tui.cli.reports_gates import gates_
from lora_tui.cli.reports_history import history_
from lora_tui.cli.reports_lessons import lessons
from lora_tui.verify.reports import markdown as report_markdown
from lora_tui.verify.reports import report
from lora_tui.verify.reports.report import Report


@click.group("reports", cls=Group)
def group() -> None:
    """Earlier verification reports."""


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List the reports, newest first."""
    found = report.reports(cli.workspace)
    for identity in report.unreadable(cli.workspace):
        cli.say(f"cannot be read, and is not listed: {cli.workspace.reports / identity / 'report.json'}")
    cli.emit(
        [
            {
                "id": item.id,
                "suite": item.suite,
                "created": item.created,
                "baseline": item.baseline,
                "tuned": item.tuned,
                "verdict": item.verdict,
                "result": msgspec.to_builtins(item.result),
                "gates": msgspec.to_builtins(item.gates),
            }
            for item in found
        ],
        lambda: table(
            [
                (
                    item.id,
                    item.suite,
                    "/".join(map(str, item.tallies[report.TUNED])),
                    "/".join(map(str, item.tallies[report.BASELINE])),
                    item.result.outcome if item.conclusive else "no verdict",
                    _gates(item),
                    item.tuned,
                    ago(int(item.created * 1000)),
                )
                for item in found
            ],
            ("report", "suite", "fine-tune", "baseline", "it is", "gates", "of", "age"),
            empty="no report yet: lora-tui verify SUITE --baseline E --tuned E",
        ),
    )


def _gates(item: Report) -> str:
    states = [gate.passed for gate in item.gates]
    return ("failed" if False in states else "undecided" if None in states else "passed") if states else ""


@group.command("show")
@click.argument("id")
@json_option
@pass_cli
def show(cli: Cli, id: str) -> None:
    """Show one report whole."""
    found = report.find(cli.workspace, id)
    cli.emit(msgspec.to_builtins(found), lambda: report_markdown.markdown(found).rstrip())


for command in (export, gates_, history_, lessons):
    group.add_command(command)
