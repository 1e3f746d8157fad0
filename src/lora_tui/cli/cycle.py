"""`lora-tui cycle`: from what is new in your agent's history to a promoted adapter, or to the reason why not."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from lora_tui.cli.output import Cli, json_option, pass_cli
from lora_tui.cli.runs_follow import follow
from lora_tui.cycle.page import PAGE, text
from lora_tui.jobs.job import Cycle
from lora_tui.jobs.journal import Finished
from lora_tui.workspace.errors import BadInput, LoraTuiError


@click.command("cycle")
@click.argument("profile")
@click.option("--dataset", default="", metavar="NAME", help="Of which the next version is made; else production's.")
@click.option(
    "--path",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Read this history too; what was read before is read again anyway (repeatable).",
)
@click.option("--fresh", is_flag=True, help="Train a fresh adapter, not from the version in production.")
@click.option("--again", is_flag=True, help="Train also where nothing is new.")
@click.option("--dry-run", is_flag=True, help="Say what each step would do; nothing is changed.")
@click.option("--detach", is_flag=True, help="Return at once; the cycle goes on by itself either way.")
@click.option(
    "--print", "printed", type=click.Choice(["systemd", "cron"]), help="Print what starts it every night, and no more."
)
@click.option("--at", default="03:30", show_default=True, metavar="HH:MM", help="With --print: when.")
@json_option
@pass_cli
def command(
    cli: Cli,
    profile: str,
    dataset: str,
    paths: tuple[Path, ...],
    fresh: bool,
    again: bool,
    dry_run: bool,
    detach: bool,
    printed: str | None,
    at: str,
) -> None:
    """Read what is new, build the next dataset, train on from production, compare, and promote if the gates pass.

    One that was stopped or killed goes on when it is started again. The exit code is 1 where nothing could be promoted.
    """
    job = Cycle(
        profile=str(Path(profile).absolute()) if profile.endswith(".toml") else profile,
        dataset=dataset,
        paths=tuple(str(path.absolute()) for path in paths),
        fresh=fresh,
        again=again,
    )
    if printed:
        _print(cli, job, printed, at)
    elif dry_run:
        _rehearse(cli, job)
    else:
        _run(cli, job, detach)


def _run(cli: Cli, job: Cycle, detach: bool) -> None:
    from lora_tui.cycle.starting import begin

    run, goes_on = begin(cli.workspace, job)
    cli.say(f"{run.id}: {run.file.title}{', which goes on where it was' if goes_on else ''}")
    if detach:
        said = f"{run.id} works on its own; watch it with `lora-tui runs follow {run.id}`"
        cli.emit({"id": run.id, "state": "running"}, said)
        return
    try:
        view = follow(run, to_stderr=True)
    except KeyboardInterrupt:
        cli.say(f"\nno longer watching; {run.id} goes on. `lora-tui runs stop {run.id}` ends it.")
        raise
    if view.state == "failed":
        raise LoraTuiError(
            view.failure,
            where=run.id,
            fix="Start it again when that is mended: with an adapter made it goes on there, else it begins anew.",
        )
    outcome = view.last_word.output if isinstance(view.last_word, Finished) else ""
    page = run.folder / PAGE
    cli.emit(
        {
            "id": run.id,
            "state": view.state,
            "outcome": outcome,
            "page": str(page),
            "steps": msgspec.to_builtins(list(view.steps_taken.values())),
        },
        lambda: page.read_text() if outcome else f"{run.id}: {view.state}",
    )
    if outcome == "not promoted":
        raise click.exceptions.Exit(1)


def _rehearse(cli: Cli, job: Cycle) -> None:
    from lora_tui.cycle.rehearse import rehearse

    with cli.progress("dry run") as advance:
        steps = list(rehearse(cli.workspace, job, lambda stage, done, total: advance(done, total, stage)))
    cli.emit(
        {"dry_run": True, "steps": msgspec.to_builtins(steps)},
        lambda: f"{text(steps)}\n\nNothing was changed: the steps up to the plan were done on a copy.",
    )
    if steps[-1].outcome == "refused":
        raise click.exceptions.Exit(1)


def _print(cli: Cli, job: Cycle, kind: str, at: str) -> None:
    from lora_tui.cycle import timer
    from lora_tui.cycle.ground import Ground

    Ground.of(cli.workspace, job)  # a timer must not fail every night
    words = [sys.executable, "-m", "lora_tui", "--workspace", str(cli.workspace.root), "cycle", job.profile]
    words += ["--dataset", job.dataset] if job.dataset else []
    for path in job.paths:
        words += ["--path", path]
    if job.again or job.fresh:
        raise BadInput("--fresh and --again are for once, not for every night", fix="Leave them out of --print.")
    made = timer.systemd(words, job.profile, at) if kind == "systemd" else timer.cron(words, at)
    cli.emit({"kind": kind, "text": made}, made.rstrip())
