"""`lora-tui profiles`: the recipes."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, json_option, pass_cli, table
from lora_tui.workspace import toml
from lora_tui.workspace.profiles import load_profile, profile_paths


@click.group("profiles", cls=Group)
def group() -> None:
    """The recipes of the specialists: base model, data, LoRA, training, verification."""


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List the profiles; your own lie in the workspace's profiles folder."""
    found = [(load_profile(cli.workspace, name), path) for name, path in profile_paths(cli.workspace).items()]
    cli.emit(
        [{**msgspec.to_builtins(profile), "path": str(path)} for profile, path in found],
        lambda: table(
            [
                (item.name, item.model.base, ", ".join(item.data.languages), item.lora.r, item.description)
                for item, _ in found
            ],
            ("profile", "base", "languages", "r", "what for"),
        ),
    )


@group.command("show")
@click.argument("name")
@json_option
@pass_cli
def show(cli: Cli, name: str) -> None:
    """Show every key of one profile, defaults included."""
    found = load_profile(cli.workspace, name)
    cli.emit(msgspec.to_builtins(found), lambda: toml.dump(found).rstrip())
