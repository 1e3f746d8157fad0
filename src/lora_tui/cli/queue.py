"""`lora-tui queue`: frozen lists of examples to decide about."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from lora_tui.cli.filters import filter_options, in_words
from lora_tui.cli.groups import DEFAULT, DefaultCommand
from lora_tui.cli.output import NUMBER, Cli, Number, ago, json_option, pass_cli, table
from lora_tui.curation import examples, queues
from lora_tui.curation.filters import EVERYTHING, Filter
from lora_tui.curation.orders import ORDERS, WORDS, Order
from lora_tui.curation.queues import Item, Queue
from lora_tui.workspace.config import load_config
from lora_tui.workspace.errors import BadInput

_by = click.option(
    "--by", "author", metavar="PERSON", default="", help="Whose queue; else config.toml's author, else the login name."
)
_repeats = click.option(
    "--repeats",
    type=click.FloatRange(0, 1),
    default=queues.REPEATS,
    show_default=True,
    help="Share of earlier decisions to ask again.",
)
_limit = click.option("--limit", type=Number(), default=0, help="Only the first so many; 0: all.")


_ORDERS = {queues.OVERLAP: "a second opinion", queues.PROPOSED: "the most promising first"}


@click.group("queue", cls=DefaultCommand)
def group() -> None:
    """Frozen lists of examples to decide about: `queue NAME` shows one, and with an order or a filter makes it."""


@group.command(DEFAULT, hidden=True)
@click.argument("name")
@filter_options
@click.option("--order", type=click.Choice(ORDERS), help="In which order they are asked; 'recent' when made.")
@_repeats
@_limit
@click.option("--next", "upcoming", type=NUMBER, default=5, show_default=True, help="How many questions to show.")
@_by
@json_option
@pass_cli
def plain(
    cli: Cli,
    /,
    name: str,
    order: Order | None,
    repeats: float,
    limit: int,
    upcoming: int,
    author: str,
    **conditions: Any,
) -> None:
    """Show the queue NAME; make it first where an order or a filter is given."""
    author = author or load_config(cli.workspace).labeller
    filter = msgspec.convert(conditions, Filter)
    if order is not None or filter != EVERYTHING:
        _make(cli, name, filter, order or "recent", repeats, limit, author)
    else:
        _show(cli, queues.open(cli.workspace, name, author), upcoming)


@group.command("list")
@click.option("--by", "author", metavar="PERSON", default="", help="Only this person's queues.")
@json_option
@pass_cli
def list_(cli: Cli, author: str) -> None:
    """List the queues, the newest first."""
    found = queues.listed(cli.workspace, author)
    rows = [
        (queue.name, queue.author, queue.done, queue.left, queue.order, ago(queue.created), in_words(queue.filter))
        for queue in found
    ]
    cli.emit(
        {"queues": [_as_data(queue) for queue in found]},
        lambda: table(
            rows,
            ("name", "by", "done", "left", "order", "age", "filter"),
            empty="no queues yet: lora-tui queue NAME --language L",
        ),
    )


@group.command("create")
@click.argument("name")
@filter_options
@click.option("--order", type=click.Choice(ORDERS), default="recent", show_default=True)
@_repeats
@_limit
@click.option("--overlap", metavar="PERSON", help="A second opinion: what PERSON decided about, at random, unseen.")
@_by
@json_option
@pass_cli
def create(
    cli: Cli,
    /,
    name: str,
    order: Order,
    repeats: float,
    limit: int,
    overlap: str | None,
    author: str,
    **conditions: Any,
) -> None:
    """Freeze what passes the filter now, in order, as the queue NAME."""
    author = author or load_config(cli.workspace).labeller
    filter = msgspec.convert(conditions, Filter)
    if overlap is not None:
        number = {"number": limit} if limit else {}
        _free(name)
        made = queues.create_overlap(cli.workspace, name, overlap, author=author, filter=filter, **number)
        _made(cli, made)
    else:
        _make(cli, name, filter, order, repeats, limit, author)


@group.command("show")
@click.argument("name")
@click.option("--next", "upcoming", type=NUMBER, default=5, show_default=True, help="How many questions to show.")
@_by
@json_option
@pass_cli
def show(cli: Cli, name: str, upcoming: int, author: str) -> None:
    """Show how far the queue NAME is and what it asks next."""
    _show(cli, queues.open(cli.workspace, name, author or load_config(cli.workspace).labeller), upcoming)


@group.command("remove")
@click.argument("name")
@_by
@json_option
@pass_cli
def remove(cli: Cli, name: str, author: str) -> None:
    """Forget the queue NAME; what was decided in it stays."""
    gone = queues.remove(cli.workspace, name, author or load_config(cli.workspace).labeller)
    cli.emit(_as_data(gone), f"queue {name} is gone; its {gone.done:,} decisions stay")


def _make(cli: Cli, name: str, filter: Filter, order: Order, repeats: float, limit: int, author: str) -> None:
    _free(name)
    _made(cli, queues.create(cli.workspace, name, filter, order, author=author, repeats=repeats, limit=limit))


def _free(name: str) -> None:
    if name in group.commands:
        raise BadInput(f"a queue cannot be called {name!r}: that is a subcommand", fix="Choose another name.")


def _made(cli: Cli, made: Queue) -> None:
    repeated = f", {made.repeated:,} of them asked again" if made.repeated else ""
    order = WORDS.get(made.order, _ORDERS.get(made.order, made.order))  # type: ignore[call-overload]
    cli.emit(
        _as_data(made), f"queue {made.name}: {made.total:,} question{'' if made.total == 1 else 's'}{repeated}; {order}"
    )


def _show(cli: Cli, queue: Queue, upcoming: int) -> None:
    left_filter = queues.left_filter(cli.workspace, queue)
    position = queues.next_position(cli.workspace, queue)
    coming = [] if position is None else _coming(cli, queue, position, upcoming)
    rows = {row.id: row for row in examples.rows(cli.workspace, [item.example_id for item in coming])}

    def text() -> str:
        lines = [
            f"queue {queue.name} of {queue.author}: {queue.done:,} of {queue.total:,} done, {queue.left:,} left"
            + (f"; {queue.gone:,} withdrawn" if queue.gone else "")
            + (f"; {left_filter:,} left the filter" if left_filter else ""),
            f"{in_words(queue.filter)}; {queue.order}",
        ]
        if coming:
            shown: list[tuple[object, ...]] = [
                (item.position + 1, item.example_id, rows[item.example_id].language, rows[item.example_id].request[:70])
                for item in coming
            ]
            headings: tuple[str, ...] = ("no", "id", "language", "request")
            if any(item.reason for item in coming):
                shown = [(*row, item.reason) for row, item in zip(shown, coming, strict=True)]
                headings += ("why",)
            lines.append(table(shown, headings))
            lines.append(f"answer the next: lora-tui label --queue {queue.name} --accept")
        return "\n".join(lines)

    cli.emit(
        {
            **_as_data(queue),
            "left_filter": left_filter,
            "next": [{"position": item.position, "id": item.example_id, "reason": item.reason} for item in coming],
        },
        text,
    )


def _coming(cli: Cli, queue: Queue, position: int, number: int) -> list[Item]:
    found: list[Item] = []
    place: int | None = position
    while place is not None and len(found) < number:
        (item,) = queues.items(cli.workspace, queue, place, 1)
        found.append(item)
        after = queues.next_position(cli.workspace, queue, place)
        place = after if after is not None and after > place else None
    return found


def _as_data(queue: Queue) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(queue)
    return {**data, "left": queue.left}
