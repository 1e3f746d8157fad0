"""`lora-tui paths`: where the files are."""

from __future__ import annotations

import click

from lora_tui.cli.output import Cli, json_option, pass_cli, table
from lora_tui.workspace.resources import shipped


@click.command("paths")
@json_option
@pass_cli
def command(cli: Cli) -> None:
    """Print where lora-tui keeps its files."""
    space = cli.workspace
    found = {
        "workspace": space.root,
        "database": space.database,
        "datasets": space.datasets,
        "runs": space.runs,
        "adapters": space.adapters,
        "reports": space.reports,
        "config": space.config,
        "profiles": space.profiles,
        "shipped profiles": shipped("profiles"),
        "shipped themes": shipped("themes"),
        "log": space.logs / "lora-tui.log",
    }
    cli.emit(
        {name: str(path) for name, path in found.items()},
        lambda: table([(name, str(path)) for name, path in found.items()], ("what", "where")),
    )
