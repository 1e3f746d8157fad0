"""`lora-tui examples`: the training candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import click
import msgspec

from lora_tui.cli.output import NUMBER, Cli, ago, json_option, pass_cli, table
from lora_tui.curation import examples, labels, reading
from lora_tui.curation.examples import Decision, Filter, Order
from lora_tui.sources.model import Message, as_sent, text_of


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that make a Filter; `filter_from` reads them."""
    for option in reversed(
        [
            click.option(
                "--language", "languages", multiple=True, metavar="L", help="Only this language (repeatable)."
            ),
            click.option(
                "--decision", type=click.Choice(get_args(Decision)), default="any", help="Only with this decision."
            ),
            click.option("--source", "sources", multiple=True, metavar="S", help="Only from this source (repeatable)."),
            click.option("--min-confidence", type=click.FloatRange(0, 1), default=0.0),
            click.option("--max-confidence", type=click.FloatRange(0, 1), default=1.0),
            click.option("--session", default="", metavar="ID", help="Only of this session."),
            click.option("--text", default="", metavar="WORDS", help="Only with these words."),
        ]
    ):
        command = option(command)
    return command


@click.group("examples")
def group() -> None:
    """Training candidates: one request of yours and what the agent did about it."""


@group.command("list")
@filter_options
@click.option("--order", type=click.Choice(get_args(Order)), default="recent")
@click.option("--limit", type=NUMBER, default=200, show_default=True)
@json_option
@pass_cli
def list_(cli: Cli, /, limit: int, order: Order, **conditions: Any) -> None:
    """List the examples that pass the filter."""
    wanted = msgspec.convert(conditions, Filter)
    found = examples.ids(cli.workspace, wanted, order)
    shown = examples.rows(cli.workspace, found[:limit])
    counts = examples.counts(cli.workspace)

    def text() -> str:
        body = table(
            [
                (
                    row.id,
                    row.decision or "·",
                    row.language,
                    round(row.confidence, 2),
                    row.turns,
                    ago(row.created),
                    row.request[:70],
                )
                for row in shown
            ],
            ("id", "label", "language", "conf", "turns", "age", "request"),
            empty="no example passes this filter",
        )
        dropped = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.dropped.items()))
        rest = f"{len(shown)} of {len(found)} shown; {counts.total} candidates in all"
        return f"{body}\n{rest}{f'; dropped: {dropped}' if dropped else ''}"

    cli.emit(
        {
            "total": len(found),
            "examples": [msgspec.to_builtins(row) for row in shown],
            "dropped": counts.dropped,
        },
        text,
    )


@group.command("show")
@click.argument("id", type=NUMBER)
@json_option
@pass_cli
def show(cli: Cli, id: int) -> None:
    """Show one example: its language with the evidence, its history, its messages."""
    found = reading.example(cli.workspace, id)
    history = labels.history(cli.workspace, id)
    row = found.row

    def text() -> str:
        lines = [
            f"example {row.id} of {row.session} · {row.title}",
            f"language {row.language} ({row.confidence:.0%} of the evidence) · {row.decision or 'not labelled'}",
            *(f"  {item.weight:>4g}  {item.language}: {item.detail}" for item in found.verdict.evidence[:6]),
            *(
                f"  label {item.action} {item.value or ''} by {item.author}{' (undone)' if item.undone else ''}"
                for item in history
            ),
        ]
        return "\n".join([*lines, "", *(_spoken(message) for message in found.messages)])

    cli.emit(
        {
            **msgspec.to_builtins(row),
            "key": found.key,
            "sure": found.verdict.sure,
            "shares": found.verdict.shares,
            "evidence": msgspec.to_builtins(found.verdict.evidence),
            "labels": msgspec.to_builtins(history),
            "messages": [as_sent(message) for message in found.messages],
        },
        text,
    )


def _spoken(message: Message) -> str:
    lines = [f"── {message.role}"]
    if message.reasoning_content:
        lines.append(f"(thinks) {message.reasoning_content}")
    if text_of(message):
        lines.append(text_of(message))
    lines += [f"▸ {call.function.name} {call.function.arguments}" for call in message.tool_calls]
    return "\n".join(lines)
