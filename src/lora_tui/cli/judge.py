"""`lora-tui judge`: a model compares a report's answers, two at a time, in both orders."""

from __future__ import annotations

import asyncio

import click
import msgspec

from lora_tui.cli.judge_text import in_words
from lora_tui.cli.output import NUMBER, Cli, json_option, pass_cli
from lora_tui.verify import votes
from lora_tui.verify.endpoints import check_name, opened
from lora_tui.verify.judge import judgements, pairwise
from lora_tui.verify.judge.asking import Judge, same_as, warning
from lora_tui.verify.judge.judgements import Judgement, Series
from lora_tui.verify.judge.summary import Summary, summary
from lora_tui.verify.judge.wording import BETTER
from lora_tui.verify.reports import report as reports
from lora_tui.verify.reports.report import Report
from lora_tui.verify.running.kept import Kept
from lora_tui.verify.votes import Pair
from lora_tui.workspace.errors import BadInput, LoraTuiError


@click.command("judge")
@click.argument("report")
@click.option(
    "--judge", "name", metavar="E", help="Any endpoint, as `verify` takes them. Without: show what was judged."
)
@click.option("--rubric", metavar="TEXT", default=BETTER, help=f"What it judges by; else: {BETTER}.")
@click.option("--prompt", type=NUMBER, help="Only this prompt, by its number in the report.")
@click.option("--concurrency", type=NUMBER, help="Questions under way at once; else 4, or as few as it takes.")
@click.option("--fresh", is_flag=True, help="Judge again what it has judged before.")
@json_option
@pass_cli
def command(
    cli: Cli, report: str, name: str | None, rubric: str, prompt: int | None, concurrency: int | None, fresh: bool
) -> None:
    """Have a model say which answers of a REPORT are better.

    Each pair is judged in both orders; where the verdicts differ it is a tie. What is judged is written at once:
    stopped, the same command goes on. How far it agrees with people's votes (`lora-tui vote`) is said with it.
    """
    found = reports.find(cli.workspace, report)
    if prompt is not None and prompt > len(found.outcomes):
        raise BadInput(f"there is no prompt {prompt}", where=found.id, fix=f"It has {len(found.outcomes)}.")
    if not rubric.strip():
        raise BadInput("the rubric is empty", fix="Say what the judge judges by, or leave --rubric out.")
    if name:
        _judge(cli, found, name, rubric, prompt, concurrency or 0, fresh)
    shown = [item for item in judgements.series(cli.workspace, found.id) if not name or _is(item, name, rubric)]
    if not shown:
        raise BadInput("no judge has compared its answers", where=found.id, fix="Name one with --judge E.")
    people = votes.votes(cli.workspace, found.id)
    made = [summary(found, item, people) for item in shown]
    cli.emit(
        {"report": found.id, "judges": [_as_data(one, item) for one, item in zip(made, shown, strict=True)]},
        lambda: "\n\n".join(in_words(found, one, item) for one, item in zip(made, shown, strict=True)),
    )
    if name and made[0].not_run:
        raise LoraTuiError(
            f"{made[0].not_run} pairs were not judged: {made[0].why}",
            where=found.id,
            fix="Ask again with the same command, or another judge.",
        )


def _judge(cli: Cli, report: Report, name: str, rubric: str, prompt: int | None, at_once: int, fresh: bool) -> None:
    check_name(cli.workspace, name)
    pairs = [pair for pair in votes.pairs(report, name) if prompt is None or pair.prompt == prompt - 1]
    if not pairs:
        raise BadInput("no two answers differ: there is nothing to judge", where=report.id)
    asyncio.run(_compare(cli, report, name, rubric, pairs, at_once, fresh))


async def _compare(
    cli: Cli, report: Report, name: str, rubric: str, pairs: list[Pair], at_once: int, fresh: bool
) -> None:
    async with opened(cli.workspace, [name], cli.workspace.reports / report.id) as (endpoint,):
        identity = await endpoint.identify()
        own = same_as(identity, name, [(side.label, side.endpoint, side) for side in report.sides])
        if own:
            cli.say(f"warning: {warning(own)}")
        done = [] if fresh else [item for one in _known(cli, report, name, rubric) for item in one.judgements]
        missing = judgements.missing(pairs, done, identity.digest)
        judge = Judge(endpoint, identity, Kept(cli.workspace, identity, fresh=fresh), at_once=at_once)
        with cli.progress("judged") as advance:
            count = len(pairs) - len(missing)

            def write(made: Judgement) -> None:
                nonlocal count
                judgements.write(cli.workspace, report.id, made)
                count += 1
                advance(count, len(pairs))

            await pairwise.compare(judge, missing, write, rubric)


def _known(cli: Cli, report: Report, name: str, rubric: str) -> list[Series]:
    return [item for item in judgements.series(cli.workspace, report.id) if _is(item, name, rubric)]


def _is(series: Series, name: str, rubric: str) -> bool:
    return (series.judge, series.rubric) == (name, rubric)


def _as_data(made: Summary, series: Series) -> dict[str, object]:
    return {
        **msgspec.to_builtins(made),
        "trusted": made.agreement.trusted,
        "agreement_in_words": made.agreement.verdict,
        "verdict": made.tally.test.verdict,
        "judgements": msgspec.to_builtins(series.judgements),
    }
