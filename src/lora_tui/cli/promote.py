"""`lora-tui promote`: which version a name means, changed under load."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.output import Cli, json_option, pass_cli


@click.command("promote")
@click.argument("version", metavar="NAME@VERSION")
@click.option("--why", default="", help="Kept in the history.")
@click.option("--prompt", "prompts", multiple=True, help="Ask it this before; may be repeated. Else a few of our own.")
@click.option("--force", is_flag=True, help="Also where something speaks against it.")
@click.option("--drain", type=click.FloatRange(0, 86_400), default=60.0, show_default=True, metavar="SECONDS")
@json_option
@pass_cli
def command(cli: Cli, version: str, why: str, prompts: tuple[str, ...], force: bool, drain: float) -> None:
    """Make a version what its name means, for everybody, between two requests.

    It is loaded beside the old one and asked a few prompts first. When a step fails, the old one serves on.
    """
    from lora_tui.adapters import registry
    from lora_tui.adapters.serving.promote import promote
    from lora_tui.verify.promotion import reasons_against

    item = registry.find(cli.workspace, version)
    against = reasons_against(cli.workspace, item)
    done = promote(
        cli.workspace,
        item.label,
        why=why,
        prompts=prompts,
        against=against,
        force=force,
        drain_seconds=drain,
        say=cli.say,
    )
    for said in done.warnings:
        cli.say(f"warning: {said}")
    where = f" in {', '.join(done.sets)}" if done.sets else "; nothing serves it now"
    was = f", before: {done.before}" if done.before else ""
    cli.emit(msgspec.to_builtins(done), f"{done.name} is {done.version}{where}{was}")
