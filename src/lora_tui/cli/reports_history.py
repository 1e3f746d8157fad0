"""`lora-tui reports history`: a fine-tune's versions on a suite, each against the one before."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.output import Cli, ago, json_option, pass_cli, table
from lora_tui.verify.reports import report
from lora_tui.verify.reports.history import Step, history
from lora_tui.verify.reports.words import percent, percents
from lora_tui.verify.statistics.sign_flip import p_words
from lora_tui.workspace.errors import BadInput


@click.command("history")
@click.argument("name", metavar="[SUITE|ADAPTER]", required=False, default="")
@json_option
@pass_cli
def history_(cli: Cli, name: str) -> None:
    """Show how each version did, by its newest report, and what changed against the version before.

    Versions are compared prompt by prompt, over what both were asked in the same words.
    """
    steps = history(report.reports(cli.workspace), name)
    if name and not steps:
        raise BadInput(f"no report is about {name!r}", fix="See `lora-tui reports list`.")
    cli.emit(msgspec.to_builtins(steps), lambda: _text(steps))


def _text(steps: list[Step]) -> str:
    rows = [
        (step.suite, step.label, _rate(step), *_change(step), _gates(step), step.report, ago(int(step.created * 1000)))
        for step in steps
    ]
    headings = ("suite", "version", "passes", "against the one before", "", "gates", "report", "age")
    lines = [table(rows, headings, empty="no report yet: lora-tui verify SUITE --baseline E --tuned E")]
    lines += [f"{step.label} after {step.before}: {note}" for step in steps for note in step.notes]
    return "\n".join(lines)


def _rate(step: Step) -> str:
    if step.rate is None:
        return "nothing was judged"
    void = "" if step.conclusive else ", no verdict"
    return f"{percent(step.rate.value)} ({percents(step.rate.interval)}){void}"


def _change(step: Step) -> tuple[str, str]:
    found = step.change
    if found is None:
        return ("nothing in common" if step.before else "", "")
    return f"{100 * found.difference:+.1f} points, {found.gained} better {found.lost} worse", (
        f"{found.outcome} ({p_words(found.p)})"
    )


def _gates(step: Step) -> str:
    parts = ((step.passed, "passed"), (step.failed, "failed"), (step.undecided, "undecided"))
    return ", ".join(f"{count} {word}" for count, word in parts if count)
