"""The options of `dataset build` that say how many rows of what; each is a key of a profile's [data]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from lora_tui.cli.output import Number


def _rows(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, int] | None:
    """`rust=300` as the recipe has it; None when nothing was given."""
    found: dict[str, int] = {}
    for one in (part.strip() for text in given for part in text.split(",") if part.strip()):
        language, mark, number = one.rpartition("=")
        if not mark or not language.strip() or not number.strip().isdecimal():
            raise click.BadParameter(f"{one!r} cannot be read; write it as rust=300", context, option)
        found[language.strip()] = int(number)
    return found or None


_OPTIONS = (
    click.option("--accepted-by", type=click.Choice(("anyone", "people")), help="Who must have accepted. [anyone]"),
    click.option("--per-session", type=Number(), help="Rows of one session, at most; 0: all. [0]"),
    click.option("--per-repository", type=Number(), help="Rows of one repository, at most; 0: all. [0]"),
    click.option(
        "--repository-share",
        type=click.FloatRange(0, 1),
        help="Of all rows, at most, where there are four repositories or more; 1: no limit. [0.3]",
    ),
    click.option(
        "--rows",
        multiple=True,
        metavar="L=N",
        callback=_rows,
        help="Rows of a language wanted in train, as in rust=300 (repeatable): more are drawn from, fewer repeated.",
    ),
    click.option("--repeat", type=Number(1, 100), help="How often a row may stand in train to reach --rows. [1]"),
    click.option("--replay", metavar="FILE", help="Mix general conversations of this chat file into train."),
    click.option(
        "--replay-share", type=click.FloatRange(0, 1, max_open=True), help="Of the rows of train, at most. [0.1]"
    ),
)


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options, each under the name of its key in [data]; None where it was not given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
