"""`lora-tui plan`: what a run would do, before it does it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import click
import msgspec

from lora_tui.backends import fit, plan_words
from lora_tui.backends.plan import Plan, plan
from lora_tui.backends.plan_words import Said
from lora_tui.cli.audit_text import finding_lines
from lora_tui.cli.output import Cli, json_option, pass_cli, table
from lora_tui.cli.overlays import Overlay, overlay_options
from lora_tui.dataset import versions
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles.settings import with_settings

_NAME = 12
_WIDTH = 80


@click.command("plan")
@click.argument("profile")
@click.option("--dataset", required=True, metavar="NAME", help="NAME or NAME@VERSION.")
@click.option("--probe", is_flag=True, help="Take one real step on the longest rows and measure it.")
@click.option("--fit", "make_fit", is_flag=True, help="Change what makes it fit; says how.")
@overlay_options
@json_option
@pass_cli
def command(cli: Cli, profile: str, dataset: str, probe: bool, make_fit: bool, overlay: Overlay) -> None:
    """Show what training PROFILE on a dataset would do: rows, tokens, memory, time, and what to know first.

    With --fit the plan is of the changed profile; the --set line it prints does the same for `train`.
    """
    recipe = overlay.load(cli.workspace, profile)
    found = versions.find(cli.workspace, dataset)
    with cli.progress("plan") as advance:

        def tell(line: str) -> None:
            advance(0, 0, line)

        settings: tuple[str, ...] = ()
        made = plan(cli.workspace, recipe, found, tell, take_step=probe and not make_fit)
        if make_fit and not made.fits:
            if not made.fit or not made.fit[-1].fits:
                raise BadInput(
                    f"nothing makes it fit: {plan_words.size(made.memory_needed)} are needed, "
                    f"{plan_words.size(made.memory_available)} are free",
                    where=f"profile {recipe.name}",
                    fix="Choose a smaller base, or a larger machine.",
                )
            settings = fit.settings_of(made.fit)
            recipe = with_settings(recipe, settings)
            made = plan(cli.workspace, recipe, found, tell)
        if make_fit and probe:
            made = plan(cli.workspace, recipe, found, tell, take_step=True)
    data = {**msgspec.to_builtins(made), "settings": settings}
    cli.emit(data, lambda: text(made, settings))


def text(made: Plan, settings: tuple[str, ...] = ()) -> str:
    """The plan for people; `settings` are what was changed to make it fit."""
    lines = [f"{made.profile} on {made.dataset}, base {made.base}"]
    if settings:
        lines.append(f"  changed to fit: {' '.join(f'--set {item}' for item in settings)}")
    lines += _said(plan_words.counts(made))
    lines += _said(plan_words.memory(made))
    lines += _said(plan_words.time_and_price(made, "--probe"))
    lines += _said(plan_words.notes(made))
    lines += _said(plan_words.fitting(made))
    lines += _said(plan_words.advice(made))
    if rows := plan_words.trained(made):
        lines += ["", "what will be trained, with gradients and optimizer:"]
        lines += table(rows, ("MODULE", "COUNT", "PARAMETERS", "MEMORY"), right=(2, 3)).splitlines()
    return "\n".join([*lines, "", *finding_lines(made.findings)])


def _said(said: Iterable[Said]) -> list[str]:
    lines = []
    for item in said:
        lines += textwrap.wrap(
            item.text,
            _WIDTH,
            initial_indent=f"  {item.name:{_NAME}}",
            subsequent_indent=" " * (_NAME + 2),
            break_on_hyphens=False,
            break_long_words=False,
        )
    return lines
