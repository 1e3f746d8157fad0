"""`lora-tui adapters`: what was trained."""

from __future__ import annotations

import time

import click
import msgspec

from lora_tui.adapters import registry
from lora_tui.adapters.lineage import lineage
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
                    _moved(item),
                    ", ".join(item.metadata.parents),
                    ago(int(item.metadata.created * 1000)),
                )
                for item in found
            ],
            ("adapter", "dataset", "steps", "loss", "eval loss", "general", "from", "age"),
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
    line = [item if isinstance(item, str) else item.label for item in lineage(cli.workspace, found)]
    data = {**_data(found), "lineage": line, "fisher": (found.folder / registry.FISHER).is_file(), "damaged": damaged}
    shown = {key: value for key, value in data.items() if key not in _OTHERWISE} | {
        "created": time.strftime("%Y-%m-%d %H:%M", time.localtime(found.metadata.created)),
        "lineage": " ← ".join(line) if len(line) > 1 else "",
        "general loss": _moved(found, kl=True),
        "fisher": "kept, for a later run's EWC" if data["fisher"] else "",
        "new_rows_only": "yes" if found.metadata.new_rows_only else "",
    }
    cli.emit(
        data, lambda: table([(key, value) for key, value in shown.items() if value not in (None, [], "")], ("what", ""))
    )


_OTHERWISE = ("lora", "parents", "general_loss", "general_loss_before", "general_kl")  # said in other words


def _moved(adapter: Adapter, *, kl: bool = False) -> str:
    """How the general loss moved: 2.310 → 2.450; empty where it was not measured."""
    about = adapter.metadata
    if about.general_loss_before is None or about.general_loss is None:
        return ""
    said = f"{about.general_loss_before:.3f} → {about.general_loss:.3f}"
    return f"{said}, KL {about.general_kl:.3f} per token" if kl and about.general_kl is not None else said


def _data(adapter: Adapter) -> dict[str, object]:
    data: dict[str, object] = msgspec.to_builtins(adapter.metadata)
    return {"label": adapter.label, "folder": str(adapter.folder), **data}
