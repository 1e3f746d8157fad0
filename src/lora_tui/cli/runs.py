"""`lora-tui runs`: which there are and what they did; what can be asked of them is beside this file."""

from __future__ import annotations

import click

from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, ago, json_option, pass_cli, table
from lora_tui.cli.runs_attach import attach
from lora_tui.cli.runs_control import checkpoint, pause, resume, stop
from lora_tui.cli.runs_follow import StepLines, follow_
from lora_tui.jobs import attached, journal
from lora_tui.jobs.view import RunView

_SHOWN_KINDS = ("train", "sweep", "verify", "cycle", "foreign")


@click.group("runs", cls=Group)
def group() -> None:
    """Runs go on by themselves: list, watch, pause, stop and resume them from any terminal."""


for _command in (follow_, pause, checkpoint, stop, resume, attach):
    group.add_command(_command)


@group.command("list")
@click.option("--all", "everything", is_flag=True, help="Audits and base models too.")
@json_option
@pass_cli
def list_(cli: Cli, everything: bool) -> None:
    """List the runs, newest first."""
    views = [RunView.of(run) for run in attached.runs(cli.workspace)]
    shown = [view.summary() for view in views if everything or view.summary()["kind"] in _SHOWN_KINDS]
    cli.emit(
        shown,
        lambda: table(
            [
                (
                    item["id"],
                    item["state"],
                    f"{item['step']}/{item['total_steps']}",
                    item["loss"],
                    item["eval_loss"],
                    ago(int(item["created"] * 1000)),
                    item["title"],
                )
                for item in shown
            ],
            ("run", "state", "step", "loss", "eval loss", "age", "what"),
            empty="no run yet: lora-tui train PROFILE --dataset NAME",
        ),
    )


@group.command("show")
@click.argument("run")
@json_option
@pass_cli
def show(cli: Cli, run: str) -> None:
    """Show one run (its id, a beginning of it, or 'latest') with its whole history."""
    view = RunView.of(attached.find(cli.workspace, run))
    summary = view.summary()

    def text() -> str:
        lines = [f"{key}: {value}" for key, value in summary.items() if value not in (None, [], "")]
        steps = StepLines()
        lines += [line for event in view.history() if (line := steps.line(event))]
        return "\n".join(lines)

    cli.emit({**summary, "events": [journal.as_dict(event) for event in view.history()]}, text)
