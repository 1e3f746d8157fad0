"""`lora-tui plan`: what a run would do, before it does it."""

from __future__ import annotations

import click
import msgspec

from lora_tui.backends.plan import Plan, plan
from lora_tui.cli.output import Cli, duration, json_option, pass_cli
from lora_tui.dataset import versions
from lora_tui.workspace.profiles import load_profile


@click.command("plan")
@click.argument("profile")
@click.option("--dataset", required=True, metavar="NAME", help="NAME or NAME@VERSION.")
@json_option
@pass_cli
def command(cli: Cli, profile: str, dataset: str) -> None:
    """Show what training PROFILE on a dataset would do: rows, tokens, memory, time, and what to know first."""
    recipe = load_profile(cli.workspace, profile)
    made = plan(
        cli.workspace, recipe, versions.find(cli.workspace, dataset), progress=lambda line: cli.say(f"{line} …")
    )
    cli.emit({**msgspec.to_builtins(made), "memory_needed": made.memory.total}, lambda: text(made))


def text(made: Plan) -> str:
    """The plan for people."""
    found = made.audited
    share = found.loss_tokens / found.tokens if found.tokens else 0
    percent = found.trainable_parameters / found.parameters if found.parameters else 0
    lines = [
        f"{made.profile} on {made.dataset}, base {made.base}",
        f"  rows        {found.rows} to train on, {found.validation_rows} to validate, {len(found.left_out)} left out",
        f"  tokens      {found.tokens:,}, of which {found.loss_tokens:,} ({share:.0%}) carry loss",
        f"  longest     {found.longest:,} tokens, max_length {found.max_length:,}",
        f"  steps       {found.steps}",
        f"  parameters  {found.trainable_parameters:,} trained of {found.parameters:,} ({percent:.2%})",
        f"  memory      about {_size(made.memory.total)} of {_size(made.memory_available)} free on {made.device}",
        f"  time        {'about ' + duration(made.seconds) if made.seconds else 'not known before the first run'}",
        *(f"  note        {warning}" for warning in made.warnings),
    ]
    return "\n".join(lines)


def _size(number: int) -> str:
    return f"{number / 1024**3:.1f} GiB"
