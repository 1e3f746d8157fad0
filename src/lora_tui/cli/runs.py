"""`lora-tui runs`: watching, stopping and resuming, from any terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import click
import msgspec

from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, ago, duration, json_option, pass_cli, safe, table
from lora_tui.jobs import forgetting, journal, supervisor
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import BadInput, LoraTuiError

_SHOWN_KINDS = ("train", "verify")
_POLL_SECONDS = 0.3


@click.group("runs", cls=Group)
def group() -> None:
    """Runs go on by themselves: list, watch, stop and resume them from any terminal."""


@group.command("list")
@click.option("--all", "everything", is_flag=True, help="Audits and base models too.")
@json_option
@pass_cli
def list_(cli: Cli, everything: bool) -> None:
    """List the runs, newest first."""
    views = [RunView.of(run) for run in supervisor.runs(cli.workspace)]
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
    view = RunView.of(supervisor.find(cli.workspace, run))
    summary = view.summary()

    def text() -> str:
        lines = [f"{key}: {value}" for key, value in summary.items() if value not in (None, [], "")]
        lines += [line for event in _history(view.run) if (line := line_of(event))]
        return "\n".join(lines)

    cli.emit({**summary, "events": [journal.as_dict(event) for event in _history(view.run)]}, text)


@group.command("follow")
@click.argument("run", default="latest")
@click.option("--json", "as_json", is_flag=True, help="Stream the events, one JSON object a line.")
@pass_cli
def follow_(cli: Cli, run: str, as_json: bool) -> None:
    """Print a run's steps as they come, until it ends. Ctrl-C stops watching, not the run."""
    found = supervisor.find(cli.workspace, run)
    follow(found, as_json=as_json)


@group.command("stop")
@click.argument("run", default="latest")
@click.option("--now", is_flag=True, help="Kill it at once; what came after the last checkpoint is lost.")
@click.option("--wait", "seconds", default=60.0, show_default=True, help="How long to wait for the checkpoint.")
@json_option
@pass_cli
def stop(cli: Cli, run: str, now: bool, seconds: float) -> None:
    """Let a run write a checkpoint and stop."""
    found = supervisor.find(cli.workspace, run)
    if not supervisor.is_alive(found):
        raise BadInput("this run is not working", where=found.id, fix="See `lora-tui runs list`.")
    if now:
        supervisor.kill(found)
    else:
        supervisor.stop(found)
    if not supervisor.wait(found, seconds):
        raise LoraTuiError(
            f"the run has not stopped after {seconds:g} s",
            where=found.id,
            fix="It stops at its next step; look again, or end it at once with --now.",
        )
    view = RunView.of(found)
    hint = f"; go on with `lora-tui runs resume {found.id}`" if view.state in ("stopped", "failed") else ""
    cli.emit(view.summary(), f"{found.id} {view.state} at step {view.step}{hint}")


@group.command("resume")
@click.argument("run", default="latest")
@click.option("--detach", is_flag=True, help="Do not wait for it.")
@json_option
@pass_cli
def resume(cli: Cli, run: str, detach: bool) -> None:
    """Go on from a run's newest checkpoint; a verification asks again what could not be answered."""
    found = supervisor.find(cli.workspace, run)
    view = RunView.of(found)
    if view.state == "finished" and not any(answer.error for answer in view.answers.values()):
        kind = view.summary()["kind"]
        raise BadInput("this run has finished", where=found.id, fix=f"Start a new one with `lora-tui {kind}`.")
    supervisor.start(found)
    finish(cli, found, detach=detach)


def finish(cli: Cli, run: Run, *, detach: bool) -> None:
    """After a start: watch to the end (or not) and print what came of it; a failure is this command's failure."""
    if detach:
        cli.emit(RunView.of(run).summary(), f"{run.id} works on its own; watch it with `lora-tui runs follow {run.id}`")
        return
    try:
        view = follow(run, to_stderr=True)
    except KeyboardInterrupt:
        cli.say(f"\nno longer watching; {run.id} goes on. `lora-tui runs stop {run.id}` ends it.")
        raise
    if view.state == "failed":
        raise LoraTuiError(view.failure, where=run.id, fix=f"The whole story: lora-tui runs show {run.id}.")
    cli.emit(view.summary(), f"{run.id}: {view.state} after {duration(view.last_time - view.first_time)}")


def follow(run: Run, *, as_json: bool = False, to_stderr: bool = False) -> RunView:
    """Print a run's events as they come; returns when its process has ended and all was read."""
    view = RunView(run)
    stream = sys.stderr if to_stderr else sys.stdout
    for event in watch(view):
        line = msgspec.json.encode(event).decode() if as_json else safe(line_of(event))
        if line:
            print(line, file=stream, flush=True)
    return view


def watch(view: RunView) -> Iterator[journal.AnyEvent]:
    """A run's events from the beginning until it has ended; refreshes `view` on the way."""
    while True:
        events = view.refresh()
        yield from events
        if view.state != "running" and not events:
            return
        if not events:
            time.sleep(_POLL_SECONDS)


def line_of(event: journal.AnyEvent) -> str:
    """One event as one line for people; empty for events that a line cannot show well."""
    match event:
        case journal.Started():
            again = f", going on from step {event.resumed_from}" if event.resumed_from else ""
            return f"started on {event.device or event.host}{again}"
        case journal.Metrics():
            return (
                f"step {event.step:>5}  epoch {event.epoch:.2f}  loss {event.loss:.4f}  "
                f"lr {event.learning_rate:.2e}  {event.tokens_per_second:,.0f} tokens/s"
            )
        case journal.Evaluation():
            return f"step {event.step:>5}  eval loss {event.eval_loss:.4f}"
        case journal.General():
            return f"step {event.step:>5}  {forgetting.words(event)}"
        case journal.Note():
            return event.message
        case journal.Checkpoint():
            return f"step {event.step:>5}  checkpoint {event.path}"
        case journal.Warned():
            return f"warning: {event.message} {event.advice}".rstrip()
        case journal.Answer():
            met = sum(check.passed for check in event.checks)
            word = "error" if event.error else "pass" if met == len(event.checks) else "fail"
            return f"prompt {event.prompt + 1} {event.side:<8} {word}  {met}/{len(event.checks)} expectations"
        case journal.Stopped():
            return f"stopped at step {event.step}"
        case journal.Finished():
            return f"finished in {duration(event.seconds)}"
        case journal.Failed():
            return f"failed: {event.reason} {event.fix}".rstrip()
        case _:
            return ""


def _history(run: Run) -> list[journal.AnyEvent]:
    return journal.JournalReader(run.journal).read()
