"""`lora-tui rollback`: the version before."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.output import Cli, json_option, pass_cli


@click.command("rollback")
@click.argument("name")
@click.option("--why", default="", help="Kept in the history.")
@click.option("--drain", type=click.FloatRange(0, 86_400), default=60.0, show_default=True, metavar="SECONDS")
@json_option
@pass_cli
def command(cli: Cli, name: str, why: str, drain: float) -> None:
    """Make NAME mean the version before this one again. Servers have it loaded still: it answers at once."""
    from lora_tui.adapters.serving.promote import rollback

    done = rollback(cli.workspace, name, why=why, drain_seconds=drain, say=cli.say)
    for said in done.warnings:
        cli.say(f"warning: {said}")
    cli.emit(msgspec.to_builtins(done), f"{done.name} is {done.version} again, before: {done.before}")
