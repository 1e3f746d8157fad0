"""`lora-tui sweep`: several trainings one after another, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from lora_tui.adapters import registry
from lora_tui.backends import sweep, trials
from lora_tui.backends.processes import asked
from lora_tui.backends.sweep import By, Prepared
from lora_tui.cli.groups import DEFAULT, DefaultCommand
from lora_tui.cli.output import NUMBER, Cli, Number, duration, json_option, pass_cli, table
from lora_tui.cli.overlays import Overlay, overlay_options
from lora_tui.cli.runs_follow import follow
from lora_tui.cli.text_chart import chart
from lora_tui.dataset import versions
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Prompt, Sweep
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.verify.suites.suite import sample_prompts
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.profiles import Profile


@click.group("sweep", cls=DefaultCommand)
def group() -> None:
    """Train with several settings, one after another, and compare.

    Each training is a run like any other. The sweep survives this terminal; stopped or killed, `runs resume` goes on
    where it was.
    """


@group.command(DEFAULT)
@click.argument("profile")
@click.option("--dataset", required=True, metavar="NAME", help="NAME or NAME@VERSION.")
@click.option(
    "--grid",
    multiple=True,
    metavar="KEY=A,B,C",
    help="Values to try for a key, as in lr=1e-4,2e-4; again for more keys: every combination is tried. "
    f"Short names: {', '.join(sweep.SHORT)}.",
)
@click.option(
    "--list",
    "file",
    type=click.Path(path_type=Path),
    help="A file with the settings of one run a line, as in lr=1e-4 r=8.",
)
@click.option("--random", "number", type=NUMBER, metavar="N", help="Try N of the grid's combinations, drawn at random.")
@click.option("--seed", type=Number(0), default=42, metavar="N", help="What --random draws by.")
@click.option(
    "--by",
    type=click.Choice(["eval_loss", "pass_rate"]),
    default="eval_loss",
    help="What makes one the best: the loss on the validation rows, or the share of the suite's prompts it passes.",
)
@click.option("--nproc", type=NUMBER, default=1, metavar="N", help="Train each in so many processes: one per GPU.")
@click.option("--allow", multiple=True, metavar="CODE", help="Train in spite of this error of the audit.")
@click.option("--dry-run", is_flag=True, help="Show what would be tried, and start nothing.")
@click.option("--detach", is_flag=True, help="Return at once; the sweep goes on by itself either way.")
@overlay_options
@json_option
@pass_cli
def start(
    cli: Cli,
    profile: str,
    dataset: str,
    grid: tuple[str, ...],
    file: Path | None,
    number: int | None,
    seed: int,
    by: By,
    nproc: int,
    allow: tuple[str, ...],
    dry_run: bool,
    detach: bool,
    overlay: Overlay,
) -> None:
    """Train PROFILE on a dataset with every combination of the grid, one run after another."""
    if (file is None) == (not grid):
        raise BadInput("give either --grid or --list", fix="For example --grid lr=1e-4,2e-4 --grid r=8,16.")
    every = sweep.listed(file) if file is not None else sweep.grid(grid)
    chosen = sweep.drawn(every, number, seed) if number is not None else every
    processes = asked(nproc)
    found = versions.find(cli.workspace, dataset)

    def recipe(settings: sweep.Settings) -> Profile:
        over = msgspec.structs.replace(overlay, settings=(*overlay.settings, *settings))
        return over.load(cli.workspace, profile)

    def prompts(recipe: Profile) -> tuple[Prompt, ...]:
        return sample_prompts(cli.workspace, recipe, every=by == "pass_rate")

    with cli.progress("audit") as advance:
        runs = sweep.prepared(
            cli.workspace,
            recipe,
            found,
            chosen,
            by=by,
            prompts=prompts,
            processes=processes,
            allow=allow,
            progress=lambda stage, done, total: advance(done, total, stage),
        )
    if dry_run:
        listed = [{"settings": list(one.settings), "steps": one.steps, "seconds": one.seconds} for one in runs]
        cli.emit({"runs": listed, "steps": sum(one.steps for one in runs), "by": by}, lambda: _planned(runs, profile))
        return
    made = sweep.start(cli.workspace, runs, by)
    cli.say(f"{made.id}: {made.file.title}")
    if detach:
        cli.emit(_data(made), f"{made.id} works on its own; see it with `lora-tui sweep show {made.id}`")
        return
    _watch(cli, made)


def _watch(cli: Cli, made: Run) -> None:
    try:
        view = follow(made, to_stderr=True)
    except KeyboardInterrupt:
        cli.say(f"\nno longer watching; {made.id} goes on. `lora-tui runs stop {made.id}` ends it.")
        raise
    cli.emit(_data(made), lambda: _text(made))
    for adapter in registry.register_finished(cli.workspace):
        cli.say(f"adapter {adapter.label} in {adapter.folder}")
    if view.state == "failed":
        raise LoraTuiError(view.failure, where=made.id, fix=f"Go on with `lora-tui runs resume {made.id}`.")


@group.command("show")
@click.argument("name", metavar="SWEEP", default="latest")
@json_option
@pass_cli
def show(cli: Cli, name: str) -> None:
    """Compare the runs of a sweep (its id, a beginning of it, or 'latest') in one table and one chart."""
    found = _find(cli, name)
    cli.emit(_data(found), lambda: _text(found))


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List the sweeps, newest first."""
    found = [_data(run) for run in supervisor.runs(cli.workspace) if isinstance(run.file.job, Sweep)]
    cli.emit(
        found,
        lambda: table(
            [
                (item["id"], item["state"], f"{item['done']}/{len(item['runs'])}", item["by"], item["title"])
                for item in found
            ],
            ("sweep", "state", "done", "by", "what"),
            empty="no sweep yet: lora-tui sweep PROFILE --dataset NAME --grid lr=1e-4,2e-4",
        ),
    )


def _find(cli: Cli, name: str) -> Run:
    sweeps = [run for run in supervisor.runs(cli.workspace) if isinstance(run.file.job, Sweep)]
    if name == "latest" and sweeps:
        return sweeps[0]
    if name == "latest":
        raise BadInput("there is no sweep yet", fix="lora-tui sweep PROFILE --dataset NAME --grid lr=1e-4,2e-4")
    found = supervisor.find(cli.workspace, name)
    if not isinstance(found.file.job, Sweep):
        raise BadInput("this run is no sweep", where=found.id, fix=f"See it with `lora-tui runs show {found.id}`.")
    return found


def _data(run: Run) -> dict[str, Any]:
    job = run.file.job
    assert isinstance(job, Sweep)
    outcomes = trials.outcomes(run)
    best = trials.best(job.by, outcomes)
    return {
        "id": run.id,
        "title": run.file.title,
        "state": RunView.of(run).state,
        "by": job.by,
        "best": best.run if best else None,
        "done": sum(item.state in ("finished", "failed") for item in outcomes),
        "runs": [msgspec.to_builtins(item) for item in outcomes],
    }


def _text(run: Run) -> str:
    job = run.file.job
    assert isinstance(job, Sweep)
    outcomes = trials.outcomes(run)
    best = trials.best(job.by, outcomes)
    rows = [
        (
            "*" if best and item.run == best.run else "",
            item.number,
            sweep.short(item.settings),
            item.state if item.state != "new" else "waits",
            f"{item.step}/{item.total_steps}" if item.total_steps else "",
            item.loss,
            item.eval_loss,
            None if item.pass_rate is None else f"{item.pass_rate:.0%}",
            duration(item.seconds) if item.seconds else "-",
        )
        for item in outcomes
    ]
    lines = [f"{run.id}  {RunView.of(run).state}  {run.file.title}", ""]
    lines.append(table(rows, ("", "#", "settings", "state", "step", "loss", "eval loss", "pass rate", "time")))
    lines += [f"  {item.number}: {item.reason}" for item in outcomes if item.reason]
    if curves := chart([item.curve for item in outcomes]):
        lines += ["", "eval loss by step; each run is drawn with its number, * where several meet", "", *curves]
    if best:
        measure = f"{best.eval_loss:.4f}" if job.by == "eval_loss" else f"{best.pass_rate:.0%}"
        lines += ["", f"best by {job.by.replace('_', ' ')}: {sweep.short(best.settings)} ({measure}), run {best.run}"]
    return "\n".join(lines)


def _planned(runs: list[Prepared], profile: str) -> str:
    rows = [
        (number, sweep.short(one.settings), one.steps, sweep.time_of([one])) for number, one in enumerate(runs, start=1)
    ]
    total = sum(one.steps for one in runs)
    head = f"{profile}: {len(runs)} runs, {total:,} steps in all, time {sweep.time_of(runs)}"
    return f"{head}\n\n{table(rows, ('#', 'settings', 'steps', 'time'))}"
