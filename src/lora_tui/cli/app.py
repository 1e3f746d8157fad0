"""`lora-tui app`: the way into the app."""

from __future__ import annotations

import click

from lora_tui.cli.output import Cli, pass_cli
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


def open_app(workspace: Workspace, *, start: str = "home", mouse: bool = True) -> None:
    """Run the app until the person leaves it."""
    import sys

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadInput("the app needs a terminal", fix="Every step also exists as a command: see `lora-tui --help`.")
    from lora_tui.tui.start import run

    run(workspace, start=start, mouse=mouse)


@click.command("app")
@click.argument("screen", default="home")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
@pass_cli
def command(cli: Cli, screen: str, no_mouse: bool) -> None:
    """Open the app, on SCREEN if one is named: home, sessions, dataset, train, monitor, verify."""
    open_app(cli.workspace, start=screen, mouse=not no_mouse)
