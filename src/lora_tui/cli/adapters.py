"""`lora-tui adapters`: what was trained."""

from __future__ import annotations

import time

import click
import msgspec

from lora_tui.adapters import registry
from lora_tui.adapters.registry import Adapter
from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, ago, json_option, pass_cli, table


@click.group("adapters", cls=Group)
def group() -> None:
    """The trained adapters: immutable versions in PEFT layout."""


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List every adapter version, newest first."""
    found = registry.adapters(cli.workspace)
    cli.emit(
        [_data(item) for item in found],
        lambda: table(
            [
                (
                    item.label,
                    item.metadata.dataset,
                    item.metadata.steps,
                    item.metadata.loss,
                    item.metadata.eval_loss,
                    ago(int(item.metadata.created * 1000)),
                )
                for item in found
            ],
            ("adapter", "dataset", "steps", "loss", "eval loss", "age"),
            empty="no adapter yet: lora-tui train PROFILE --dataset NAME",
        ),
    )


@group.command("show")
@click.argument("name")
@json_option
@pass_cli
def show(cli: Cli, name: str) -> None:
    """Show one adapter (NAME or NAME@VERSION): what made it, and whether its files are intact."""
    found = registry.find(cli.workspace, name)
    damaged = registry.damaged_files(found)
    data = {**_data(found), "damaged": damaged}
    shown = data | {"created": time.strftime("%Y-%m-%d %H:%M", time.localtime(found.metadata.created))}
    cli.emit(
        data, lambda: table([(key, value) for key, value in shown.items() if value not in (None, [])], ("what", ""))
    )


def _data(adapter: Adapter) -> dict[str, object]:
    data: dict[str, object] = msgspec.to_builtins(adapter.metadata)
    return {"label": adapter.label, "folder": str(adapter.folder), **data}
