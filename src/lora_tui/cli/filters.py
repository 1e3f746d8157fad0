"""Filters as a person types them: as options, or as words ('language=rust decision=unlabelled text=ring')."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import click
import msgspec

from lora_tui.cli.output import Number
from lora_tui.curation.filters import EVERYTHING, Decision, Filter, Origin, Outcome
from lora_tui.workspace.errors import BadInput

_SHORT = {  # in words -> the field
    "language": "languages",
    "source": "sources",
    "origin": "origins",
    "outcome": "outcomes",
    "model": "models",
    "agent": "agents",
    "tag": "tags",
    "licence": "licences",
}
_SHARE = click.FloatRange(0, 1)
_SEVERAL = tuple(_SHORT.values())


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that make a Filter; their names are its fields."""
    for option in reversed(_options()):
        command = option(command)
    return command


def _options() -> list[Callable[..., Any]]:
    def several(name: str, metavar: str, what: str, choices: tuple[str, ...] = ()) -> Callable[..., Any]:
        kind = click.Choice(choices) if choices else None
        shown = None if choices else metavar
        return click.option(
            f"--{name}", _SHORT[name], multiple=True, metavar=shown, type=kind, help=f"{what} (repeatable)."
        )

    return [
        several("language", "L", "Only this language"),
        click.option(
            "--decision", type=click.Choice(get_args(Decision)), default="any", help="Only with this decision."
        ),
        several("source", "S", "Only from this source"),
        several("origin", "", "Only of this origin", get_args(Origin)),
        click.option("--min-confidence", type=_SHARE, metavar="SHARE", default=0.0, help="Only at least so sure."),
        click.option("--max-confidence", type=_SHARE, metavar="SHARE", default=1.0, help="Only at most so sure."),
        click.option("--session", default="", metavar="ID", help="Only of this session."),
        several("outcome", "", "Only with this outcome", get_args(Outcome)),
        several("model", "M", "Only answered by this model"),
        several("agent", "A", "Only of this agent"),
        several("tag", "T", "Only with this tag"),
        click.option("--has-note", is_flag=True, help="Only with a note."),
        click.option("--secrets", is_flag=True, help="Only where secrets were found."),
        click.option("--disagree", is_flag=True, help="Only where the code looks like another language."),
        click.option("--near-duplicates", is_flag=True, help="Only what has near-duplicates."),
        click.option("--cluster", type=Number(), default=0, help="Only this cluster of near-duplicates."),
        click.option("--directory", default="", metavar="FOLDER", help="Only from this folder or below it."),
        several("licence", "SPDX", "Only under this licence"),
        click.option("--min-characters", type=Number(), default=0, help="Only so long or longer."),
        click.option("--max-characters", type=Number(), default=0, help="Only so long or shorter; 0: any length."),
        click.option(
            "--dropped", default="", metavar="REASON", help="What was dropped, and for this reason; 'any' for all."
        ),
        click.option("--text", default="", metavar="WORDS", help="Only with these words."),
    ]


def parse_filter(text: str) -> Filter:
    """'language=rust,go decision=unlabelled min_confidence=0.8 ring' as a Filter; words search. Raises BadInput."""
    known = {*Filter.__struct_fields__, *_SHORT}
    shown = sorted(known - {*_SEVERAL, "text"})
    given: dict[str, object] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals:
            key, value = "text", f"{given.get('text', '')} {word}".strip()
        key = key.replace("-", "_")
        if key not in known:
            raise BadInput(f"unknown filter {key!r}", fix=f"Known: {', '.join(shown)}; other words search.")
        field = _SHORT.get(key, key)
        given[field] = tuple(value.split(",")) if field in _SEVERAL else value
    if not given:
        raise BadInput("the filter is empty", fix="`decision=any` means every example.")
    try:
        return msgspec.convert(given, Filter, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"this filter cannot be read: {error}", where=text) from error


def in_words(filter: Filter) -> str:
    """The filter as `parse_filter` reads it; 'every example' for the one without conditions."""
    short = {field: word for word, field in _SHORT.items()}
    given = {
        field: value for field, value in msgspec.structs.asdict(filter).items() if value != getattr(EVERYTHING, field)
    }
    parts = [
        f"{short.get(field, field)}={','.join(value) if isinstance(value, tuple) else str(value).lower()}"
        if field != "text"
        else str(value)
        for field, value in given.items()
    ]
    return " ".join(parts) or "every example"
