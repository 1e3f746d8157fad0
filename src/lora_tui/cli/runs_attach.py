"""`lora-tui runs attach`: watching what lies elsewhere, or what another program trains."""

from __future__ import annotations

import time
from pathlib import Path

import click

from lora_tui.cli.output import Cli, json_option, pass_cli, table
from lora_tui.jobs import attached
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import BadInput


@click.command("attach")
@click.argument("path", required=False)
@click.option("--forget", is_flag=True, help="No longer watch it; what lies there stays as it is.")
@json_option
@pass_cli
def attach(cli: Cli, path: str | None, forget: bool) -> None:
    """Watch runs that lie elsewhere, read-only; without a PATH, list what is attached.

    PATH is a run folder or a whole workspace of lora-tui, also another user's, or the output folder of any training
    with transformers' Trainer (trainer_state.json, checkpoint-N) or TensorBoard event files.
    """
    if path is None:
        if forget:
            raise click.UsageError("--forget needs the PATH that was attached")
        _list(cli)
    elif forget:
        attached.forget(cli.workspace, Path(path))
        cli.emit({"forgotten": path}, f"{path} is no longer attached; nothing there was changed")
    else:
        views = [RunView.of(run) for run in attached.attach(cli.workspace, Path(path), time.time())]
        lines = [f"{view.run.id}  {view.standing}  step {view.step}/{view.total_steps or '?'}" for view in views]
        cli.emit([view.summary() for view in views], "\n".join([*lines, "watch it: lora-tui runs follow, or F5"]))


def _list(cli: Cli) -> None:
    found = [
        {"path": place.path, "kind": _kind(place), "since": place.since} for place in attached.places(cli.workspace)
    ]
    cli.emit(
        found,
        lambda: table(
            [(item["kind"], item["path"]) for item in found],
            ("kind", "path"),
            empty="nothing is attached: lora-tui runs attach PATH",
        ),
    )


def _kind(place: attached.Place) -> str:
    try:
        return attached.kind(Path(place.path))
    except BadInput:
        return "unreadable"
