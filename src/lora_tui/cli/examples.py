"""`lora-tui examples`: the training candidates."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from lora_tui.cli.filters import filter_options
from lora_tui.cli.groups import Group
from lora_tui.cli.output import NUMBER, Cli, ago, json_option, pass_cli, table
from lora_tui.curation import examples, exchange, labels, reading
from lora_tui.curation.filters import Filter
from lora_tui.curation.orders import Order
from lora_tui.sources.model import Message, as_sent, text_of
from lora_tui.workspace import atomic
from lora_tui.workspace.config import load_config
from lora_tui.workspace.errors import BadInput

_BY = "Whose decisions they become; else config.toml's author, else the login name."


@click.group("examples", cls=Group)
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
                    row.dropped or row.decision or "·",
                    row.language,
                    round(row.confidence, 2),
                    row.turns,
                    ago(row.created),
                    row.request[:70],
                )
                for row in shown
            ],
            ("id", "label", "language", "conf", "turns", "age", "request"),
            empty="no example passes this filter" if counts.total else "no examples yet: lora-tui ingest --all",
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
    """Show one example: its language and outcome with the evidence, its history, its messages."""
    found = reading.example(cli.workspace, id)
    history = labels.history(cli.workspace, id)
    row = found.row

    def text() -> str:
        lines = [
            f"example {row.id} of {row.session} · {row.title}",
            f"language {row.language} ({row.confidence:.0%} of the evidence) · {row.decision or 'not labelled'}",
            *(f"  {item.weight:>4g}  {item.language}: {item.detail}" for item in found.verdict.evidence[:6]),
            f"outcome {row.outcome}",
            *(f"        {sign.name}: {sign.detail}" for sign in found.signals),
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
            "signals": msgspec.to_builtins(found.signals),
            "labels": msgspec.to_builtins(history),
            "messages": [as_sent(message) for message in found.messages],
        },
        text,
    )


@group.command("export")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@filter_options
@click.option("--order", type=click.Choice(get_args(Order)), default="recent")
@json_option
@pass_cli
def export(cli: Cli, /, file: str, order: Order, **conditions: Any) -> None:
    """Write the examples that pass the filter to FILE, one JSON document a line; '-' is standard output.

    Messages are as `show` has them: edited where you edited them, with placeholders for secrets.
    """
    if file == "-" and cli.json:
        raise BadInput("--json and '-' exclude each other", fix="The rows are JSON already.")
    found = examples.ids(cli.workspace, msgspec.convert(conditions, Filter), order)
    counts = {"examples": 0, "kept back": 0}
    with nullcontext(sys.stdout.buffer) if file == "-" else atomic.writing(Path(file).absolute()) as out:
        with cli.progress("writing examples") as advance:
            for number, row in enumerate(exchange.exported(cli.workspace, found)):
                advance(number + 1, len(found))
                counts["kept back" if row is None else "examples"] += 1
                if row is not None:
                    out.write(msgspec.json.encode(row) + b"\n")
        out.flush()
    kept_back = f"; {counts['kept back']} kept back: they hold a private key" if counts["kept back"] else ""
    said = f"{counts['examples']:,} examples written to {file}{kept_back}"
    if file == "-":
        cli.say(said)
    else:
        cli.emit({"file": file, "examples": counts["examples"], "kept_back": counts["kept back"]}, said)


@group.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only count what would change.")
@click.option("--by", "author", metavar="PERSON", default="", help=_BY)
@json_option
@pass_cli
def import_(cli: Cli, file: Path, dry_run: bool, author: str) -> None:
    """Take back a FILE that `examples export` wrote: what differs becomes edits and labels, one undo takes all back.

    An example that is not here comes in as a chat session.
    """
    from lora_tui.curation.language_rules import rules
    from lora_tui.curation.taking_in import take_in

    if not file.is_file():
        raise BadInput("there is no such file", where=str(file), fix="Give a file that `examples export` wrote.")
    config = load_config(cli.workspace)
    done = take_in(
        cli.workspace,
        file,
        author=author or config.labeller,
        languages={*rules().table.language, *config.languages},
        dry_run=dry_run,
    )

    def text() -> str:
        labelled = ", ".join(f"{number} {action}" for action, number in done.changed.items()) or "none"
        lines = [
            f"{'would read' if dry_run else 'read'} {done.rows} rows: {done.unchanged} unchanged, "
            f"{done.sessions} new sessions; labels: {labelled}"
        ]
        lines += [f"  row {wrong.number}: {wrong.reason}" for wrong in done.wrong[:20]]
        lines += [f"  … and {len(done.wrong) - 20} more (--json lists them all)"] if len(done.wrong) > 20 else []
        lines += ["one `lora-tui label --undo` takes the labels back"] if done.batch else []
        return "\n".join(lines)

    cli.emit({"dry_run": dry_run, **msgspec.to_builtins(done)}, text)
    if done.wrong:
        raise click.exceptions.Exit(BadInput.exit_code)


def _spoken(message: Message) -> str:
    lines = [f"── {message.role}"]
    if message.reasoning_content:
        lines.append(f"(thinks) {message.reasoning_content}")
    if text_of(message):
        lines.append(text_of(message))
    lines += [f"▸ {call.function.name} {call.function.arguments}" for call in message.tool_calls]
    return "\n".join(lines)
