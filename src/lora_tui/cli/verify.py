"""`lora-tui verify`: does the fine-tune beat its baseline?"""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.output import NUMBER, Cli, json_option, pass_cli
from lora_tui.cli.runs_follow import watch
from lora_tui.jobs import supervisor
from lora_tui.jobs.event_words import words
from lora_tui.jobs.view import RunView
from lora_tui.verify import report, run
from lora_tui.verify.report import Report
from lora_tui.workspace.errors import LoraTuiError


@click.command("verify")
@click.argument("suite")
@click.option("--baseline", required=True, metavar="E", help="base:PATH, adapter:NAME@V or openai:URL#MODEL.")
@click.option("--tuned", required=True, metavar="E", help="The same, for the fine-tune.")
@click.option("--max-tokens", default=256, show_default=True, type=NUMBER)
@json_option
@pass_cli
def command(cli: Cli, suite: str, baseline: str, tuned: str, max_tokens: int) -> None:
    """Ask every prompt of SUITE of both endpoints, check the answers, and say what that proves."""
    made = verify(cli, suite, baseline, tuned, max_tokens)
    cli.emit(msgspec.to_builtins(made), lambda: summary(made))
    if made.errors:
        raise LoraTuiError(
            f"{made.errors} answers could not be had",
            where=made.id,
            fix=f"Ask for them again: lora-tui runs resume {made.id}.",
        )


def verify(cli: Cli, suite: str, baseline: str, tuned: str, max_tokens: int = 256) -> Report:
    """Run a suite in its own process, watch it, and read its report."""
    started = run.create(cli.workspace, suite, baseline, tuned, max_tokens)
    supervisor.start(started)
    view = RunView(started)
    for event in watch(view):
        line = words(event)
        if line:
            cli.say(line)
    if view.state != "finished":
        raise LoraTuiError(view.failure or f"the verification was {view.state}", where=started.id)
    return report.load(cli.workspace.reports / started.id)


def summary(made: Report) -> str:
    """The result for people: a line a prompt, then what it proves."""
    lines = []
    for number, outcome in enumerate(made.outcomes, start=1):
        marks = [("pass" if report.passed(answer) else "FAIL") for answer in (outcome.baseline, outcome.tuned)]
        lines.append(f"{number:>3}  baseline {marks[0]}  fine-tune {marks[1]}  {outcome.description}")
    result, of = made.result, made.result.prompts
    return "\n".join(
        [
            *lines,
            f"fine-tune {result.tuned_passed} of {of}, baseline {result.baseline_passed} of {of}",
            result.verdict,
        ]
    )
