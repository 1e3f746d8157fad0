"""`lora-tui rented`: machines by the hour. What is offered, what is rented, and what was left behind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec

from lora_tui.backends.renting import sweep as sweeping
from lora_tui.backends.renting.provider import KEYS, NAMES, Offer, Provider, Wanted, provider
from lora_tui.backends.renting.sweep import Rented
from lora_tui.cli.confirm import confirmed
from lora_tui.cli.groups import Group
from lora_tui.cli.output import NUMBER, Cli, duration, json_option, pass_cli, table
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

_provider = click.option("--provider", "name", type=click.Choice(NAMES), help="Only this one; else all with a key.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group("rented", cls=Group)
def group() -> None:
    """Machines rented by the hour from RunPod and Vast: offers, what runs, and giving back what was left."""


@group.command("offers")
@click.option("--gpu", default="", help="Words of the GPU's name: 4090, A100.")
@click.option("--gpus", type=NUMBER, default=1, show_default=True, help="How many in one machine.")
@click.option("--nodes", type=NUMBER, default=1, show_default=True, help="Machines in a cluster (RunPod).")
@click.option("--memory", type=float, default=0.0, help="GB that one GPU has at least.")
@click.option("--max-price", type=float, default=0.0, help="USD an hour at most, for all of it.")
@click.option("--disk", type=NUMBER, default=60, show_default=True, help="GB of disk.")
@click.option("--limit", type=NUMBER, default=20, show_default=True, help="How many to show.")
@_provider
@json_option
@pass_cli
def offers(
    cli: Cli,
    gpu: str,
    gpus: int,
    nodes: int,
    memory: float,
    max_price: float,
    disk: int,
    limit: int,
    name: str | None,
) -> None:
    """What could be rented now, the cheapest first, at live prices. Nothing is rented."""
    wanted = Wanted(gpu=gpu, gpus=gpus, memory_gb=memory, max_price=max_price, disk_gb=disk, nodes=nodes)
    found = sorted(
        (offer for source in _sources(name) for offer in _offers(cli, source, wanted, alone=name is not None)),
        key=lambda offer: offer.price_per_hour,
    )[:limit]
    cli.emit(found, lambda: _offer_table(found))


def _offers(cli: Cli, source: Provider, wanted: Wanted, alone: bool) -> list[Offer]:
    """Of one provider; where several are asked, one that fails is told and passed over."""
    try:
        return source.offers(wanted)
    except LoraTuiError as error:
        if alone:
            raise
        cli.say(f"{source.name}: {error.what}")
        return []


def _offer_table(found: list[Offer]) -> str:
    rows = [
        (
            offer.provider,
            f"{f'{offer.nodes} nodes of ' if offer.nodes > 1 else ''}{offer.gpus}× {offer.gpu}",
            f"{offer.memory_gb:g} GB",
            f"${offer.price_per_hour:.3f}",
            "-" if offer.reliability is None else f"{offer.reliability:.1%}",
            offer.place,
        )
        for offer in found
    ]
    headings = ("provider", "GPU", "memory", "an hour", "reliable", "where")
    return table(rows, headings, empty="nothing that fits is offered now", right=(2, 3, 4))


@group.command("list")
@_provider
@json_option
@pass_cli
def list_(cli: Cli, name: str | None) -> None:
    """Every machine of ours that costs now, whether its run works or not."""
    found, failed = _asked(cli, _sources(name), sweeping.rented)
    none = "nothing is rented, as far as was answered" if failed else "nothing is rented"
    cli.emit([_data(one) for one in found], lambda: _table(found, none))
    if failed:
        raise next(iter(failed.values()))


def _asked(
    cli: Cli, sources: list[Provider], ask: Callable[[Workspace, Sequence[Provider]], list[Rented]]
) -> tuple[list[Rented], dict[str, LoraTuiError]]:
    """What each provider has, and what came of those that do not answer: they hide nothing of the others."""
    found: list[Rented] = []
    failed: dict[str, LoraTuiError] = {}
    for source in sources:
        try:
            found += ask(cli.workspace, [source])
        except LoraTuiError as error:
            failed[source.name] = error
            cli.say(f"{source.name}: what is rented there is not known: {error.what}")
    return sorted(found, key=lambda one: (-one.seconds, one.machine.id)), failed


@group.command("sweep")
@_provider
@_yes
@json_option
@pass_cli
def sweep(cli: Cli, name: str | None, yes: bool) -> None:
    """Give back machines that no run works on, asking for each.

    Only a terminal is asked; elsewhere nothing is ended without --yes, which ends all of them: also those that another
    computer with the same account may be using.
    """
    sources = {source.name: source for source in _sources(name)}
    found, silent = _asked(cli, list(sources.values()), sweeping.left_over)
    asks = sys.stdin.isatty() and sys.stderr.isatty()
    ended: list[Rented] = []
    kept: list[Rented] = []
    failed = list(silent.values())
    left: click.Abort | None = None
    for one in found:
        try:
            if left or not (yes or (asks and confirmed(f"{_line(one)}. Give it back?", False))):
                kept.append(one)
                continue
            sweeping.end(cli.workspace, one, sources[one.machine.provider])
            ended.append(one)
        except LoraTuiError as error:
            failed.append(error)
        except click.Abort as error:  # what was given back by now is told all the same
            left = error
            kept.append(one)
    sweeping.settle(cli.workspace, [source for source in sources.values() if source.name not in silent])
    cli.emit(
        {
            "ended": [_data(one) for one in ended],
            "kept": [_data(one) for one in kept],
            "failed": [str(error) for error in failed],
        },
        lambda: _swept(ended, kept, bool(failed)),
    )
    if failed:
        raise failed[0]
    if left:
        raise left


def _swept(ended: list[Rented], kept: list[Rented], failed: bool) -> str:
    lines = [f"given back: {_line(one)}" for one in ended]
    lines += [f"still costs: {_line(one)}" for one in kept]
    if kept:
        lines.append("End one: lora-tui rented end ID; all: lora-tui rented sweep --yes")
    return "\n".join(lines) or ("" if failed else "nothing was left behind")


@group.command("end")
@click.argument("machine")
@_provider
@_yes
@json_option
@pass_cli
def end(cli: Cli, machine: str, name: str | None, yes: bool) -> None:
    """Give a machine back, by its id or its run's, with everything on it."""
    sources = {source.name: source for source in _sources(name)}
    found, failed = _asked(cli, list(sources.values()), sweeping.rented)
    matching = [one for one in found if machine in (one.machine.id, one.run)]
    if not matching and failed:
        raise next(iter(failed.values()))
    if not matching:
        raise BadInput(f"there is no machine {machine!r} of ours", fix="See `lora-tui rented list`.")
    for one in matching:
        warning = " Its run WORKS on it, and loses what came after its last checkpoint." if one.held else ""
        if not confirmed(f"{_line(one)}.{warning} Give it back?", yes):
            raise click.exceptions.Abort
        sweeping.end(cli.workspace, one, sources[one.machine.provider])
    cli.emit([_data(one) for one in matching], "\n".join(f"given back: {_line(one)}" for one in matching))


def _sources(name: str | None) -> list[Provider]:
    if name is not None:
        return [provider(name)]
    found = sweeping.providers()
    if not found:
        raise BadInput("no key of a provider", fix=f"export {' or '.join(KEYS.values())}, or keep it in the keyring.")
    return found


def _line(one: Rented) -> str:
    machine = one.machine
    what = f"{machine.provider} {machine.id}: {machine.name or 'a machine'} at ${machine.price_per_hour:.2f}/h"
    had = f", {duration(one.seconds)} so far, about ${one.cost:.2f}" if one.seconds else ""
    return f"{what}{had}{f' ({one.about})' if one.about else ''}"


def _table(found: list[Rented], empty: str) -> str:
    rows = [
        (
            one.machine.provider,
            one.machine.id,
            one.machine.name,
            one.machine.state,
            duration(one.seconds) if one.seconds else "-",
            f"${one.machine.price_per_hour:.3f}",
            f"${one.cost:.2f}",
            f"{one.run}{f': {one.about}' if one.about else ''}",
        )
        for one in found
    ]
    headings = ("provider", "id", "what", "state", "for", "an hour", "so far", "run")
    return table(rows, headings, empty=empty, right=(5, 6))


def _data(one: Rented) -> dict[str, Any]:
    machine: dict[str, Any] = msgspec.to_builtins(one.machine)
    return machine | {
        "run": one.run,
        "run_known": one.known,
        "run_works": one.held,
        "seconds": round(one.seconds, 1),
        "cost_usd": round(one.cost, 4),
    }
