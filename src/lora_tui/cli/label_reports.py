"""`lora-tui label agreement` and `label progress`."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.output import Cli, duration, json_option, pass_cli, table
from lora_tui.curation import agreement as agreements
from lora_tui.curation import progress as progresses
from lora_tui.curation.agreement import NEEDED, Agreement, Scale
from lora_tui.curation.progress import Progress
from lora_tui.workspace.config import load_config
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Data, load_profile

_SHOWN = 20


@click.command("agreement")
@click.argument("first", default="")
@click.argument("second", default="")
@json_option
@pass_cli
def agreement(cli: Cli, first: str, second: str) -> None:
    """How far FIRST and SECOND agree (Cohen's kappa), and each with themselves where they were asked again.

    Without names, the two with the most decisions.
    """
    known = agreements.authors(cli.workspace)
    first = first or next(iter(known), "")
    second = second or next((name for name in known if name != first), "")
    for name in (first, second):
        if name and name not in known:
            raise BadInput(f"{name} has decided about nothing", fix=f"Known: {', '.join(known) or 'nobody yet'}.")
    if first == second and first:
        raise BadInput("agreement takes two people", fix="`label progress` is about one.")
    own = [agreements.consistency(cli.workspace, name) for name in (first, second) if name]
    both = agreements.agreement(cli.workspace, first, second) if second else None

    def text() -> str:
        lines = (
            _compared(both) if both is not None else ["nobody but one has decided yet" if own else "no decisions yet"]
        )
        for found in own:
            share = f"the same answer in {found.same} of {found.asked}" if found.asked else "not yet"
            lines.append(f"{found.author}, asked again: {share}")
        return "\n".join(lines)

    cli.emit(
        {
            "agreement": msgspec.to_builtins(both),
            "consistency": [{**msgspec.to_builtins(found), "share": found.share} for found in own],
        },
        text,
    )


@click.command("progress")
@click.argument("profile", default="")
@click.option(
    "--by", "author", metavar="PERSON", default="", help="Whose pace; else config.toml's author, else the login name."
)
@json_option
@pass_cli
def progress(cli: Cli, profile: str, author: str) -> None:
    """Accepted examples against the targets of PROFILE (else of all languages), today's pace, and the time left."""
    data = load_profile(cli.workspace, profile).data if profile else Data()
    author = author or load_config(cli.workspace).labeller
    found = progresses.progress(cli.workspace, data, author=author)
    own = agreements.consistency(cli.workspace, author)
    pace = {"per_hour": found.pace.per_hour, "accepted_per_hour": found.pace.accepted_per_hour}
    counted = msgspec.to_builtins(found)
    cli.emit(
        {
            **counted,
            "profile": profile,
            "author": author,
            "pace": {**counted["pace"], **pace},
            "consistency": {**msgspec.to_builtins(own), "share": own.share},
        },
        lambda: "\n".join(_progress_lines(found, author)),
    )


def _compared(found: Agreement) -> list[str]:
    lines = [
        f"{found.first} and {found.second}, accept or reject: {_scale(found.decision)}",
        f"{found.first} and {found.second}, language: {_scale(found.language)}",
    ]
    if found.disagreements:
        lines.append(
            table(
                [(item.id, item.first, item.second, item.request[:70]) for item in found.disagreements[:_SHOWN]],
                ("id", found.first, found.second, "request"),
            )
        )
    if len(found.disagreements) > _SHOWN:
        lines.append(f"… and {len(found.disagreements) - _SHOWN} more (--json lists them all)")
    return lines


def _scale(scale: Scale) -> str:
    if scale.both < NEEDED:
        return f"{scale.both} of the {NEEDED} common examples that a kappa needs"
    kappa = f"kappa {scale.kappa:.2f}" if scale.kappa is not None else "no kappa, all answers are the same"
    return f"{kappa}; the same in {scale.same} of {scale.both}"


def _progress_lines(found: Progress, author: str) -> list[str]:
    rows = [
        (item.language, item.accepted, item.target or "-", item.unlabelled, _left(item.seconds_left, item.target))
        for item in found.languages
    ]
    lines = [table(rows, ("language", "accepted", "target", "unlabelled", "left"), empty="no examples yet")]
    if found.target:
        lines.append(f"{found.accepted} of {found.target} accepted; left: {_left(found.seconds_left, found.target)}")
    pace = found.pace
    hourly = f", {pace.per_hour:.0f} an hour" if pace.per_hour is not None else ""
    bulk = f"; {pace.bulk} in bulk" if pace.bulk else ""
    lines.append(f"{author} today: {pace.decisions} decisions in {duration(pace.seconds)} of work{hourly}{bulk}")
    return lines


def _left(seconds: float | None, target: int) -> str:
    if not target:
        return "-"
    if seconds == 0.0:
        return "done"
    return f"about {duration(seconds)}" if seconds is not None else "?"
