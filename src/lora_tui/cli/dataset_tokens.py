"""`lora-tui dataset tokens`: a row as the model will see it, token by token, with what of it is learned."""

from __future__ import annotations

import os
import shutil
import sys

import click

from lora_tui.backends import bases
from lora_tui.backends.token_view import Looker
from lora_tui.cli.output import Cli, Number, json_option, pass_cli, safe
from lora_tui.dataset import versions
from lora_tui.dataset.model import SPLITS
from lora_tui.jobs.token_layout import Line, flowing, tabled
from lora_tui.jobs.token_view import View
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Training, load_profile

_PLAIN_WIDTH = 80  # where no terminal says how wide it is
_LIKE = 5  # ids named when one is not found

# SGR codes (ECMA-48 §8.3.117) in the terminal's own colours.
_CODES = {
    "heading": "1",
    "muted": "2",
    "trained": "1;32",
    "trained-next": "32",
    "context": "2",
    "context-next": "90",
    "special": "36",
    "special-trained": "1;36",
    "cut": "1;33",
    "bad": "31",
}


@click.command("tokens", short_help="Show a row token by token, and what of it is learned.")
@click.argument("name", metavar="NAME[@N]")
@click.argument("row", metavar="ID")
@click.option("--model", metavar="PATH_OR_ID", help="Whose tokenizer and chat template; else those of --profile.")
@click.option("--profile", metavar="NAME", help="Take the base and max_length of this profile.")
@click.option("--max-length", type=Number(1), help="Tokens of a training row. [of the profile, else 4096]")
@click.option("--split", type=click.Choice(SPLITS), help="Look for the row only here.")
@click.option("--ids", is_flag=True, help="One token per line, with its id.")
@json_option
@pass_cli
def tokens(
    cli: Cli,
    name: str,
    row: str,
    model: str | None,
    profile: str | None,
    max_length: int | None,
    split: str | None,
    ids: bool,
) -> None:
    """Show row ID of a version as the model will see it, token by token, and what of it is learned.

    ID is the row's id, the beginning of it, or its place in a split, as train:3.
    """
    found = versions.find(cli.workspace, name)
    recipe = load_profile(cli.workspace, profile) if profile else None
    if model is None and recipe is None:
        raise BadInput("whose tokens? No model is named", fix="Give --model PATH_OR_ID, or --profile P.")
    base = bases.find(cli.workspace, model) if model is not None else bases.resolve(cli.workspace, recipe)  # type: ignore[arg-type]
    length = max_length or (recipe.training if recipe is not None else Training()).max_length
    looker = Looker(base)
    try:
        view = looker.ask(found.folder, split or "", row, length)
    finally:
        looker.close()
    if cli.json:
        cli.emit(_data(view, found.label, base))
        return
    colour = _colours()
    width = shutil.get_terminal_size((_PLAIN_WIDTH, 24)).columns
    for line in (tabled if ids else flowing)(view, width):
        click.echo(_drawn(line, colour=colour), color=colour)


def _colours() -> bool:
    """Whether the terminal has colours and the person wants them (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") not in ("", "dumb")


def _drawn(line: Line, *, colour: bool) -> str:
    if not colour:
        return safe("".join(text for text, _ in line))
    return "".join(
        f"\x1b[{code}m{safe(text)}\x1b[0m" if (code := _CODES.get(tone)) else safe(text) for text, tone in line
    )


def _data(view: View, label: str, base: str) -> dict[str, object]:
    """The view with names for every field; `message` counts from 0, as the row's own list does."""
    return {
        "dataset": label,
        "model": base,
        "row": view.row,
        "split": view.split,
        "number": view.number,
        "max_length": view.max_length,
        "tokens": view.tokens,
        "loss_tokens": view.loss_tokens,
        "left_out": view.left_out,
        "about": view.about,
        "messages": [{"role": said.role, "weight": said.weight} for said in view.messages],
        "parts": [
            {
                **{key: getattr(part, key) for key in ("number", "tokens", "loss_tokens", "at", "left_out", "about")},
                "heads": [{"piece": head.piece, "message": head.message} for head in part.heads],
                "pieces": [
                    {"text": piece.text, "ids": piece.ids, "loss": piece.loss, "name": piece.name}
                    for piece in part.pieces
                ],
            }
            for part in view.parts
        ],
    }
