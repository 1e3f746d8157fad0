"""`lora-tui runs pause|checkpoint|stop|resume`: what can be asked of a run, from any terminal."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from lora_tui.cli.output import Cli, json_option, pass_cli
from lora_tui.cli.runs_follow import finish
from lora_tui.jobs import attached, supervisor
from lora_tui.jobs.job import Train, Verify
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import BadInput, LoraTuiError

_POLL_SECONDS = 0.1
_waiting = click.option(
    "--wait", "seconds", default=60.0, show_default=True, help="How many seconds to wait for the step to end."
)


@click.command("stop")
@click.argument("run", default="latest")
@click.option("--now", is_flag=True, help="Kill it at once; what came after the last checkpoint is lost.")
@click.option("--wait", "seconds", default=60.0, show_default=True, help="How long to wait for the checkpoint.")
@json_option
@pass_cli
def stop(cli: Cli, run: str, now: bool, seconds: float) -> None:
    """Let a run, also a paused one, write a checkpoint and stop."""
    found = _working(cli, run)
    if now:
        supervisor.kill(found)
    else:
        supervisor.stop(found)
    if not supervisor.wait(found, seconds):
        fix = "It stops at its next step; look again, or end it at once with --now."
        if now:
            fix = "It is being ended where it works; look again, or ask again with --now to kill what conducts it here."
        raise LoraTuiError(f"the run has not stopped after {seconds:g} s", where=found.id, fix=fix)
    view = RunView.of(found)
    if now and view.spending.working:
        cli.say(f"what it rented costs on: go on with `runs resume`, or end it: lora-tui rented end {found.id}")
    if now:
        for job, peer in view.spending.jobs.items():
            cli.say(
                f"the job {job} may go on at {peer} and cost: `runs resume` follows it, or end it: "
                f"lora-tui {peer} jobs cancel {job}"
            )
    hint = f"; go on with `lora-tui runs resume {found.id}`" if view.state in ("stopped", "failed") else ""
    cli.emit(view.summary(), f"{found.id} {view.state} at step {view.step}{hint}")


@click.command("pause")
@click.argument("run", default="latest")
@_waiting
@json_option
@pass_cli
def pause(cli: Cli, run: str, seconds: float) -> None:
    """Let a run wait after its step, with everything in memory; `runs resume` lets it go on."""
    found = _working(cli, run)
    supervisor.pause(found)
    view = _until(found, seconds, lambda view: view.paused, "has not paused")
    if not view.paused:
        raise LoraTuiError(f"the run has {view.state} instead", where=found.id)
    cli.emit(view.summary(), f"{found.id} paused after step {view.step}; `lora-tui runs resume {found.id}` goes on")


@click.command("checkpoint")
@click.argument("run", default="latest")
@_waiting
@json_option
@pass_cli
def checkpoint(cli: Cli, run: str, seconds: float) -> None:
    """Let a run write a checkpoint after its step, and go on."""
    found = _working(cli, run)
    before = RunView.of(found)
    if before.paused and isinstance(found.file.job, Train):
        raise BadInput(
            "this run is paused: it writes its checkpoint when it goes on",
            where=found.id,
            fix=f"`lora-tui runs resume {found.id}` lets it go on; `runs stop` writes a checkpoint and stops it.",
        )
    last = before.checkpoints[-1] if before.checkpoints else None
    supervisor.checkpoint(found)
    view = _until(
        found,
        seconds,
        lambda view: bool(view.checkpoints) and view.checkpoints[-1] != last,
        "has not written a checkpoint",
    )
    if not view.checkpoints or view.checkpoints[-1] == last:
        raise LoraTuiError(f"the run has {view.state} instead", where=found.id)
    cli.emit(view.summary(), f"{found.id}: {view.checkpoints[-1].path} at step {view.checkpoints[-1].step}")


@click.command("resume")
@click.argument("run", default="latest")
@click.option("--detach", is_flag=True, help="Do not wait for it.")
@json_option
@pass_cli
def resume(cli: Cli, run: str, detach: bool) -> None:
    """Let a paused run go on, or go on from a run's newest checkpoint.

    A verification asks again what could not be answered, or not be judged.
    """
    found = attached.find(cli.workspace, run)
    supervisor.may_be_asked(found)
    view = RunView.of(found)
    if view.standing == "paused" or (view.state == "running" and supervisor.is_asked_to_pause(found)):
        supervisor.unpause(found)
        _until(found, 10.0, lambda view: not view.paused, "has not gone on")
    else:
        if view.state == "finished" and not _left(view):
            kind = view.summary()["kind"]
            raise BadInput("this run has finished", where=found.id, fix=f"Start a new one with `lora-tui {kind}`.")
        supervisor.start(found)
    finish(cli, found, detach=detach)


def _left(view: RunView) -> bool:
    """Whether a finished verification holds what can be asked again: answers, or a judge's verdicts."""
    job = view.run.file.job
    if any(answer.error for answer in view.answers.values()):
        return True
    if not isinstance(job, Verify) or not job.judge:
        return False
    from lora_tui.verify.judge import grading
    from lora_tui.verify.running.asked_suite import suite_of

    return bool(grading.waiting(suite_of(job, view.run.folder).cases, view.answers))


def _working(cli: Cli, run: str) -> Run:
    found = attached.find(cli.workspace, run)
    supervisor.may_be_asked(found)
    if not supervisor.is_alive(found):
        raise BadInput("this run is not working", where=found.id, fix="See `lora-tui runs list`.")
    return found


def _until(run: Run, seconds: float, holds: Callable[[RunView], bool], not_yet: str) -> RunView:
    """The run's view once it holds, or once the run has ended."""
    view = RunView.of(run)
    end = time.monotonic() + seconds
    while not holds(view) and view.state == "running":
        if time.monotonic() > end:
            fix = "It looks for what it is asked after each step; a long one takes a while. Look again: runs show."
            raise LoraTuiError(f"the run {not_yet} after {seconds:g} s", where=run.id, fix=fix)
        time.sleep(_POLL_SECONDS)
        view.refresh()
    return view
