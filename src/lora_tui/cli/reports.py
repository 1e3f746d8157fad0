"""`lora-tui reports`: earlier verification reports."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, ago, json_option, pass_cli, table
from lora_tui.verify import report


@click.group("reports", cls=Group)
def group() -> None:
    """Earlier verification reports."""


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List the reports, newest first."""
    found = report.reports(cli.workspace)
    cli.emit(
        [
            {
                "id": item.id,
                "suite": item.suite,
                "baseline": item.baseline,
                "tuned": item.tuned,
                **msgspec.to_builtins(item.result),
            }
            for item in found
        ],
        lambda: table(
            [
                (
                    item.id,
                    item.suite,
                    f"{item.result.tuned_passed}/{item.result.prompts}",
                    f"{item.result.baseline_passed}/{item.result.prompts}",
                    item.tuned,
                    ago(int(item.created * 1000)),
                )
                for item in found
            ],
            ("report", "suite", "fine-tune", "baseline", "of", "age"),
            empty="no report yet: lora-tui verify SUITE --baseline E --tuned E",
        ),
    )


@group.command("show")
@click.argument("id")
@json_option
@pass_cli
def show(cli: Cli, id: str) -> None:
    """Show one report whole."""
    found = report.load(cli.workspace.reports / id)
    cli.emit(msgspec.to_builtins(found), lambda: report.markdown(found).rstrip())
