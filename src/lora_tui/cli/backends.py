"""`lora-tui backends`: where a profile could be trained, and what each way takes and costs."""

from __future__ import annotations

import textwrap

import click
import msgspec

from lora_tui.backends.compare import words
from lora_tui.backends.compare.prices import FILE, TABLE, copied, prices
from lora_tui.backends.compare.way import Comparison
from lora_tui.backends.compare.ways import HOURS_PER_DAY, compare
from lora_tui.cli.groups import Group
from lora_tui.cli.output import Amount, Cli, json_option, pass_cli, table
from lora_tui.cli.overlays import Overlay, overlay_options
from lora_tui.dataset import versions
from lora_tui.workspace.profiles.schema import Backend

_WIDTH = 80
_HOURS = Amount(zero=True, most=24)
_KINDS: tuple[Backend, ...] = ("local", "together", "rented")


@click.group(cls=Group)
def group() -> None:
    """Where to train: this machine, Together AI, a rented GPU, a host of your own; and at what prices."""


@group.command("compare")
@click.argument("profile")
@click.option("--dataset", required=True, metavar="NAME", help="NAME or NAME@VERSION.")
@click.option(
    "--hours-per-day",
    type=_HOURS,
    default=HOURS_PER_DAY,
    show_default=True,
    metavar="H",
    help="How long the fine-tuned model is served each day.",
)
@click.option("--details", is_flag=True, help="Each way in full: sources, set-up, latency, where the data goes.")
@click.option("--explain", is_flag=True, help="That, with the arithmetic of every figure.")
@click.option("--offline", is_flag=True, help="Ask nobody for live prices, even where a key is set.")
@overlay_options
@json_option
@pass_cli
def compare_command(
    cli: Cli,
    profile: str,
    dataset: str,
    hours_per_day: float,
    details: bool,
    explain: bool,
    offline: bool,
    overlay: Overlay,
) -> None:
    """Compare the ways to train PROFILE on a dataset: does it fit, how long, how dear, and what serving it costs then.

    Nothing is uploaded, rented or started. Live prices are asked for where a key is set.
    """
    recipes = {backend: overlay.load(cli.workspace, profile, backend=backend) for backend in _KINDS}
    found = versions.find(cli.workspace, dataset)
    made = compare(cli.workspace, recipes, found, hours_per_day=hours_per_day, live=not offline)
    cli.emit(msgspec.to_builtins(made), lambda: text(made, details=details or explain, explain=explain))


@group.command("prices")
@click.option("--copy", is_flag=True, help="Put a copy into the workspace, which then counts.")
@json_option
@pass_cli
def prices_command(cli: Cli, copy: bool) -> None:
    """Show the price table that stands in where nothing says a price live, each row with its source and day."""
    own = copied(cli.workspace) if copy else cli.workspace.root / FILE
    found = prices(cli.workspace)
    path = own if own.is_file() else TABLE
    data = {"file": str(path), **msgspec.to_builtins(found)}
    cli.emit(data, lambda: f"# {path}\n{path.read_text(encoding='utf-8')}".rstrip())


def text(made: Comparison, *, details: bool, explain: bool) -> str:
    """The comparison for people, in 80 columns."""
    lines = textwrap.wrap(words.head(made), _WIDTH)
    lines += table(words.rows(made.ways, _WIDTH), words.COLUMNS).splitlines()
    lines += textwrap.wrap(words.foot(made), _WIDTH)
    if not details:
        return "\n".join([*lines, "--details says where each figure is from, --explain how it was reckoned."])
    return "\n".join([*lines, "", words.in_full(made, explain=explain)])
