"""`lora-tui export`: an adapter for other programs; a training job as files for dstack or SkyPilot."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from lora_tui.backends.compare.prices import prices
from lora_tui.backends.compare.work import work
from lora_tui.backends.export.exporting import Exported, Tool, export
from lora_tui.backends.export.job import job_file
from lora_tui.backends.export.machines import machines
from lora_tui.backends.plan_words import size
from lora_tui.cli import export_adapters
from lora_tui.cli.groups import Group
from lora_tui.cli.output import AMOUNT, NUMBER, Cli, json_option, pass_cli
from lora_tui.cli.overlays import Overlay, overlay_options
from lora_tui.dataset import versions
from lora_tui.jobs.job import Train
from lora_tui.verify.suites.suite import sample_prompts
from lora_tui.workspace.errors import BadInput, LoraTuiError

_INSTALL = {"dstack": "pip install dstack, in an environment of its own", "sky": "pip install skypilot, likewise"}


@click.group(cls=Group)
def group() -> None:
    """An adapter for other programs to load (merged, gguf, ollama, vllm), or a training job for others to run."""


for _command in export_adapters.COMMANDS:
    group.add_command(_command)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.argument("profile"),
            click.option("--dataset", required=True, metavar="NAME", help="NAME or NAME@VERSION."),
            click.option("--output", required=True, metavar="DIR", type=Path, help="New, empty, or an earlier export."),
            click.option("--nodes", type=NUMBER, default=1, metavar="N", help="On so many machines."),
            click.option("--gpus", type=NUMBER, metavar="N", help="In each; else as few as hold the run."),
            click.option(
                "--env", multiple=True, metavar="NAME", help="Pass on this variable, as HF_TOKEN; never its value."
            ),
            click.option("--allow", multiple=True, metavar="CODE", help="Export in spite of this error of the audit."),
            click.option("--run", "start", is_flag=True, help="Run your own program with it at once."),
            overlay_options,
            json_option,
            pass_cli,
        )
    ):
        command = option(command)
    return command


@group.command("dstack")
@click.option(
    "--max-hours",
    type=AMOUNT,
    default=24.0,
    show_default=True,
    metavar="H",
    help="After which dstack ends it.",
)
@_options
def dstack_command(cli: Cli, max_hours: float, **asked: Any) -> None:
    """Write PROFILE on a dataset as a dstack task: RunPod, hyperscalers, Kubernetes, your own fleet."""
    _export(cli, "dstack", hours=max_hours, **asked)


@group.command("skypilot")
@_options
def skypilot_command(cli: Cli, **asked: Any) -> None:
    """Write PROFILE on a dataset as a SkyPilot task: hyperscalers, Lambda, Kubernetes, Slurm."""
    _export(cli, "skypilot", **asked)


def _export(
    cli: Cli,
    tool: Tool,
    profile: str,
    dataset: str,
    output: Path,
    nodes: int,
    gpus: int | None,
    env: tuple[str, ...],
    allow: tuple[str, ...],
    start: bool,
    overlay: Overlay,
    hours: float = 24.0,
) -> None:
    recipe = overlay.load(cli.workspace, profile, backend="rented")
    found = versions.find(cli.workspace, dataset)
    with cli.progress("export") as advance:
        file = job_file(
            cli.workspace,
            recipe,
            found,
            sample_prompts(cli.workspace, recipe),
            allow=allow,
            progress=lambda stage, done, total: advance(done, total, stage),
        )
    assert isinstance(file.job, Train)
    done = work(cli.workspace, file.job.profile, found, prices(cli.workspace).formula)
    wanted = machines(file.job.profile, done, nodes, gpus or 0)
    made = export(tool, file, wanted, output, env=env, hours=hours)
    cli.emit(msgspec.to_builtins(made), lambda: text(made))
    if start:
        _run(cli, made)


def text(made: Exported) -> str:
    """What was written, and what to do with it."""
    wanted = made.machines
    count = f"{wanted.nodes} × " if wanted.nodes > 1 else ""
    lines = [
        f"{made.folder}: {made.files} files, {size(made.size)}; {made.file}",
        f"  machines  {count}{wanted.gpus} GPU of {wanted.memory_gb} GB or more, {wanted.disk_gb} GB disk",
        f"  start     cd {shlex.quote(made.folder)} && {shlex.join(made.command)}",
        f"  adapter   {made.fetching}",
    ]
    if made.note:
        lines += textwrap.wrap(made.note, 80, initial_indent="  note      ", subsequent_indent=" " * 12)
    return "\n".join(lines)


def _run(cli: Cli, made: Exported) -> None:
    program = made.command[0]
    if shutil.which(program) is None:
        raise BadInput(f"there is no {program} on the PATH", fix=f"{_INSTALL[program]}; then run it in {made.folder}.")
    cli.say(f"$ {shlex.join(made.command)}")
    code = subprocess.run(made.command, cwd=made.folder, stdout=sys.stderr if cli.json else None).returncode
    if code:
        raise LoraTuiError(f"{program} ended with code {code}", where=made.folder)
