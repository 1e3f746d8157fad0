"""`lora-tui label`: decisions from the command line."""

from __future__ import annotations

from typing import cast

import click
import msgspec

from lora_tui.cli.output import Cli, json_option, pass_cli
from lora_tui.curation import examples, labels
from lora_tui.curation.examples import Filter
from lora_tui.curation.labels import Action
from lora_tui.curation.language_rules import rules
from lora_tui.workspace.config import load_config
from lora_tui.workspace.errors import BadInput


@click.command("label")
@click.argument("ids", type=click.IntRange(1, 2**63 - 1), nargs=-1)
@click.option("--accept", is_flag=True, help="Good to learn from.")
@click.option("--reject", is_flag=True, help="Not to be learnt from.")
@click.option("--skip", is_flag=True, help="Undecided; leave it.")
@click.option("--flag", is_flag=True, help="Look again later.")
@click.option("--unflag", is_flag=True, help="No need to look again.")
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
    /,
    ids: tuple[int, ...],
    language: str | None,
    undo: bool,
    all_matching: str | None,
    author: str,
    reason: str,
    **flags: bool,
) -> None:
    """Record a decision about examples, by their IDS or by a filter. Nothing is overwritten; --undo goes back."""
    config = load_config(cli.workspace)
    author = author or config.labeller
    action = _one_of(flags)
    if language and language not in (known := sorted({*rules().table.language, *config.languages})):
        raise BadInput(f"unknown language {language!r}", fix=f"Known: {', '.join(known)}.")
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
    if not chosen:
        raise BadInput("no example passes this filter", where=all_matching or "")
    batch = labels.decide(
        cli.workspace,
        chosen,
        action or "language",
        None if action else language,
        author=author,
        reason=reason,
        language=language if action else None,
    )
    what = " and ".join(part for part in (language, action) if part)
    cli.emit(
        {"ids": chosen, "action": action, "language": language, "batch": batch},
        f"{what}: {_examples(len(chosen))}",
    )


def _one_of(flags: dict[str, bool]) -> Action | None:
    given = [name for name, is_set in flags.items() if is_set]
    if len(given) > 1:
        raise BadInput(f"--{given[0]} and --{given[1]} exclude each other")
    return cast(Action, given[0]) if given else None


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
    if not given:
        raise BadInput("the filter is empty", fix="`decision=any` means every example.")
    try:
        return msgspec.convert(given, Filter, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"this filter cannot be read: {error}", where=text) from error
