"""`lora-tui demo`: the whole loop, once, anywhere."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click
import msgspec

from lora_tui.cli.app import open_app
from lora_tui.cli.output import Cli, duration, json_option, pass_cli
from lora_tui.cli.runs_follow import watch
from lora_tui.cli.verify_text import summary
from lora_tui.demo import loop
from lora_tui.jobs import journal
from lora_tui.jobs.event_words import words
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.layout import Workspace

_STEPS_BETWEEN_LINES = 10


@click.command("demo")
@click.option("--no-app", is_flag=True, help="Only print the result; do not open the app on it.")
@json_option
@click.pass_context
@pass_cli
def command(cli: Cli, context: click.Context, no_app: bool) -> None:
    """Carry the whole loop once: bundled sessions, a tiny model, training, verification. No GPU, no download.

    It works in --workspace (or $LORA_TUI_WORKSPACE) when one is given, else in a workspace of its own, so that your
    sessions and the demo's stay apart.
    """
    if not (context.find_root().params.get("workspace") or os.environ.get("LORA_TUI_WORKSPACE")):
        cli.workspace = Workspace(Path(f"{cli.workspace.root}-demo"))
    begun = time.monotonic()
    cli.say(f"about 3 minutes on two cores; everything goes to {cli.workspace.root}")
    result = loop.run(cli.workspace, _Printer(cli))
    made = result.report

    def text() -> str:
        return "\n".join(
            [
                "",
                summary(made),
                "",
                loop.WHAT_IT_IS,
                "",
                f"adapter  {result.adapter.folder}",
                f"report   {cli.workspace.reports / made.id / 'report.md'}",
                f"look at  lora-tui --workspace {cli.workspace.root}",
                f"done in  {duration(time.monotonic() - begun)}",
            ]
        )

    cli.emit(
        {
            "adapter": result.adapter.label,
            "adapter_folder": str(result.adapter.folder),
            "dataset": result.dataset.label,
            "report": msgspec.to_builtins(made),
            "workspace": str(cli.workspace.root),
            "seconds": time.monotonic() - begun,
        },
        text,
    )
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty() and "CI" not in os.environ
    if on_terminal and not no_app and not cli.json and click.confirm("Open the app on the result?", default=True):
        open_app(cli.workspace, start="verify")


class _Printer:
    """Tells the demo's story on stderr."""

    def __init__(self, cli: Cli) -> None:
        self._cli = cli

    def stage(self, number: int, text: str) -> None:
        self._cli.say(f"\n[{number}/{loop.STAGES}] {text}")

    def tell(self, text: str) -> None:
        self._cli.say(f"  {text}")

    def watch(self, run: Run) -> RunView:
        view = RunView(run)
        for event in watch(view):
            if isinstance(event, journal.Metrics) and event.step % _STEPS_BETWEEN_LINES and event.step > 1:
                continue
            if isinstance(event, journal.Metrics):
                steps = view.total_steps or (view.progress.total if view.progress is not None else 0)
                self._cli.say(f"  step {event.step:>4} of {steps}  loss {event.loss:.3f}")
            elif isinstance(event, journal.Progress):
                if not event.total:
                    self._cli.say(f"  {event.stage}")
            elif line := words(event):
                self._cli.say(f"  {line}")
        return view
