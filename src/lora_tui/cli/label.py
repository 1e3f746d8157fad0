"""`lora-tui label`: decisions from the command line."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.output import Cli, json_option, pass_cli
from lora_tui.curation import examples, labels
from lora_tui.curation.examples import Filter
from lora_tui.curation.labels import Action
from lora_tui.workspace.config import load_config
from lora_tui.workspace.errors import BadInput


@click.command("label")
@click.argument("ids", type=int, nargs=-1)
@click.option("--accept", "action", flag_value="accept", help="Good to learn from.")
@click.option("--reject", "action", flag_value="reject", help="Not to be learnt from.")
@click.option("--skip", "action", flag_value="skip", help="Undecided; leave it.")
@click.option("--flag", "action", flag_value="flag", help="Look again later.")
@click.option("--unflag", "action", flag_value="unflag")
@click.option("--language", metavar="L", help="Say which language it is.")
@click.option("--undo", is_flag=True, help="Take back your latest decision, or the latest about IDS.")
@click.option(
    "--all-matching",
    metavar="FILTER",
    help="Instead of IDs: all that pass, as in 'language=rust decision=unlabelled min_confidence=0.8 text=cargo'.",
)
@click.option(
    "--by", "author", default="", help="Whose decision it is; else config.toml's author, else the login name."
)
@click.option("--reason", default="", help="Why.")
@json_option
@pass_cli
def command(
    cli: Cli,
    ids: tuple[int, ...],
    action: Action | None,
    language: str | None,
    undo: bool,
    all_matching: str | None,
    author: str,
    reason: str,
) -> None:
    """Record a decision about examples, by their IDS or by a filter. Nothing is overwritten; --undo goes back."""
    author = author or load_config(cli.workspace).labeller
    if undo:
        if action or language or all_matching:
            raise BadInput("--undo decides nothing else", fix="Give it alone, or with the ids it is about.")
        undone = labels.undo(cli.workspace, author, ids)
        if undone is None:
            raise BadInput(f"{author} has no decision{' about these' if ids else ''} to take back")
        cli.emit(msgspec.to_builtins(undone), f"took back '{undone.action}' of {_examples(len(undone.ids))}")
        return
    if bool(ids) == bool(all_matching):
        raise BadInput("say which examples", fix="Give their ids, or --all-matching FILTER.")
    if not action and not language:
        raise BadInput("say what to decide", fix="One of --accept, --reject, --skip, --flag, --unflag, --language L.")
    chosen = list(ids) or list(examples.ids(cli.workspace, parse_filter(all_matching or "")))
    batches = []
    if language:
        batches.append(labels.decide(cli.workspace, chosen, "language", language, author=author, reason=reason))
    if action:
        batches.append(labels.decide(cli.workspace, chosen, action, author=author, reason=reason))
    what = " and ".join(part for part in (language, action) if part)
    cli.emit(
        {"ids": chosen, "action": action, "language": language, "batches": batches},
        f"{what}: {_examples(len(chosen))}",
    )


def _examples(number: int) -> str:
    return "1 example" if number == 1 else f"{number:,} examples"


def parse_filter(text: str) -> Filter:
    """'language=rust,go decision=unlabelled min_confidence=0.8 text=ring' as a Filter. Raises BadInput."""
    names = {"language": "languages", "source": "sources"}
    known = {*Filter.__struct_fields__, *names}
    given: dict[str, object] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals:
            key, value = "text", f"{given.get('text', '')} {word}".strip()
        if key not in known:
            raise BadInput(f"unknown filter {key!r}", fix=f"Known: {', '.join(sorted(known))}.")
        field = names.get(key, key)
        given[field] = tuple(value.split(",")) if field in ("languages", "sources") else value
    try:
        return msgspec.convert(given, Filter, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"this filter cannot be read: {error}", where=text) from error
