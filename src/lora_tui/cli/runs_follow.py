"""`lora-tui runs follow`: a run's steps as they come, one line each, in any terminal or pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import click
import msgspec

from lora_tui.cli.output import Cli, duration, pass_cli, safe
from lora_tui.jobs import attached, journal
from lora_tui.jobs.duration import to_go
from lora_tui.jobs.event_words import words
from lora_tui.jobs.smoothing import Smoothed
from lora_tui.jobs.story import Story
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import LoraTuiError

_POLL_SECONDS = 0.3


@click.command("follow")
@click.argument("run", default="latest")
@click.option("--json", "as_json", is_flag=True, help="Stream the events, one JSON object a line.")
@pass_cli
def follow_(cli: Cli, run: str, as_json: bool) -> None:
    """Print a run's steps as they come, until it ends. Ctrl-C stops watching, not the run."""
    follow(attached.find(cli.workspace, run), as_json=as_json)


class StepLines:
    """Events as lines, in order: a step's line has what only the steps before can tell."""

    def __init__(self) -> None:
        self._story = Story()
        self._smoothed = Smoothed()

    def line(self, event: journal.AnyEvent) -> str:
        """One line for people; empty for events that a line cannot show well."""
        self._story.fold(event)
        match event:
            case journal.Started():
                self._smoothed = Smoothed()
                return words(event)
            case journal.Metrics():
                return self._step(event)
            case journal.Progress():
                return ""
            case _:
                return words(event)

    def _step(self, event: journal.Metrics) -> str:
        ((_, smoothed),) = self._smoothed.extend([(event.step, event.loss)])
        total = f"/{self._story.total_steps}" if self._story.total_steps else ""
        left = to_go(self._story.to_go) if self._story.total_steps > event.step else ""
        parts = [
            f"step {event.step:>5}{total}",
            f"epoch {event.epoch:.2f}",
            f"loss {event.loss:.4f} (smoothed {smoothed:.4f})",
            f"lr {event.learning_rate:.2e}",
            f"grad norm {event.grad_norm:.3f}" if event.grad_norm is not None else "",
            f"penalty {event.penalty:.4f}" if event.penalty else "",
            f"{event.tokens_per_second:,.0f} tokens/s" if event.tokens_per_second else "",
            left,
        ]
        return "  ".join(part for part in parts if part)


def follow(run: Run, *, as_json: bool = False, to_stderr: bool = False) -> RunView:
    """Print a run's events as they come; returns when its process has ended and all was read."""
    view = RunView(run)
    lines = StepLines()
    stream = sys.stderr if to_stderr else sys.stdout
    for event in watch(view):
        line = msgspec.json.encode(event).decode() if as_json else safe(lines.line(event))
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
    cli.emit(view.summary(), f"{run.id}: {view.state} after {duration(view.worked)}")
