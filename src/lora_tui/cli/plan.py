"""`lora-tui plan`: what a run would do, before it does it."""

from __future__ import annotations

import click
import msgspec

from lora_tui.backends.plan import Plan, plan
from lora_tui.cli.audit_text import finding_lines
from lora_tui.cli.output import Cli, duration, json_option, pass_cli
from lora_tui.cli.overlays import Overlay, overlay_options
from lora_tui.dataset import versions
from lora_tui.jobs.audit import Counted


@click.command("plan")
@click.argument("profile")
@click.option("--dataset", required=True, metavar="NAME", help="NAME or NAME@VERSION.")
@overlay_options
@json_option
@pass_cli
def command(cli: Cli, profile: str, dataset: str, overlay: Overlay) -> None:
    """Show what training PROFILE on a dataset would do: rows, tokens, memory, time, and what to know first."""
    recipe = overlay.load(cli.workspace, profile)
    found = versions.find(cli.workspace, dataset)
    with cli.progress("plan") as advance:
        made = plan(cli.workspace, recipe, found, progress=lambda line: advance(0, 0, line))
    cli.emit({**msgspec.to_builtins(made), "memory_needed": made.memory.total}, lambda: text(made))


def text(made: Plan) -> str:
    """The plan for people."""
    found, train, size = made.audited, made.audited.train, made.measured
    share = train.loss_tokens / train.tokens if train.tokens else 0
    percent = size.trainable / size.parameters if size.parameters else 0
    validation = found.splits.get("validation", Counted())
    lines = [
        f"{made.profile} on {made.dataset}, base {made.base}",
        f"  rows        {train.rows} to train on, {validation.rows} to validate, {found.number_left_out:,} left out",
        f"  tokens      {train.tokens:,}, of which {train.loss_tokens:,} ({share:.0%}) carry loss",
        f"  longest     {found.longest:,} tokens, max_length {found.max_length:,}",
        f"  steps       {made.steps}",
        f"  parameters  {size.trainable:,} trained of {size.parameters:,} ({percent:.2%})",
        f"  memory      about {_size(made.memory.total)} of {_size(made.memory_available)} free on {made.device}",
        f"  time        {'about ' + duration(made.seconds) if made.seconds else 'not known before the first run'}",
        *(f"  note        {warning}" for warning in made.warnings),
    ]
    return "\n".join([*lines, "", *finding_lines(made.findings)])


def _size(number: int) -> str:
    return f"{number / 1024**3:.1f} GiB"
