"""`lora-tui reports gates`: hold gates against a report that is there already."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.output import Cli, json_option, pass_cli
from lora_tui.cli.verify_text import refuse_unless_passed
from lora_tui.verify.reports import gates as judging
from lora_tui.verify.reports import report
from lora_tui.verify.reports.words import gate_words
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import load_profile


@click.command("gates")
@click.argument("id", default="latest")
@click.option("--gate", "gates", multiple=True, metavar="TEXT", help="As of `verify`; else those it was made with.")
@click.option("--profile", metavar="NAME", help="The gates of this profile.")
@json_option
@pass_cli
def gates_(cli: Cli, id: str, gates: tuple[str, ...], profile: str | None) -> None:
    """Say which gates a report passes, with the exit code of `verify`. Nothing is asked, nothing is written."""
    found = report.find(cli.workspace, id)
    wanted = (*(load_profile(cli.workspace, profile).verification.gates if profile else ()), *gates)
    wanted = wanted or tuple(gate.text for gate in found.gates)
    if not wanted:
        raise BadInput("this report was made without gates", where=found.id, fix="Name some: --gate, or --profile.")
    judged = msgspec.structs.replace(found, gates=judging.evaluate(cli.workspace, found, wanted))
    cli.emit(msgspec.to_builtins(judged.gates), lambda: "\n".join(gate_words(gate) for gate in judged.gates))
    refuse_unless_passed(judged)
