"""Examples: finding and listing training candidates. reading.py reads one whole."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from lora_tui.curation.refresh import Refreshed, refresh
from lora_tui.workspace.layout import Workspace

__all__ = ["Counts", "ExampleRow", "Filter", "Refreshed", "counts", "ids", "refresh", "rows"]

Decision = Literal["any", "unlabelled", "labelled", "accept", "reject", "skip", "flagged", "edited"]
Order = Literal["recent", "uncertain"]

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]

UNLABELLED = "unlabelled"


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which examples: every given condition must hold. Dropped ones never pass."""

    text: str = ""  # full-text search: every word, the last one as a beginning; what holds no word finds nothing
    languages: tuple[str, ...] = ()
    decision: Decision = "any"
    sources: tuple[str, ...] = ()
    min_confidence: Share = 0.0
    max_confidence: Share = 1.0
    session: str = ""  # native id


class ExampleRow(msgspec.Struct, frozen=True):
    """What lists show of an example. `language` is the person's where one was given, else the machine's."""

    id: int
    request: str
    title: str
    source: str
    language: str
    machine_language: str
    confidence: float
    decision: str | None
    flagged: bool
    edited: bool
    agent: str
    model: str
    turns: int
    characters: int
    created: int  # epoch milliseconds
    directory: str
    session: str  # native id


class Counts(msgspec.Struct, frozen=True):
    """How many candidates there are, per language and decision, and what was dropped why."""

    total: int
    by_language: dict[str, dict[str, int]]  # language -> decision or 'unlabelled' -> examples
    dropped: dict[str, int]

    def of(self, decision: str, language: str | None = None) -> int:
        """Candidates with this decision, in one language or in all."""
        chosen = self.by_language.values() if language is None else [self.by_language.get(language, {})]
        return sum(counts.get(decision, 0) for counts in chosen)


EVERYTHING = Filter()

COLUMNS = """
    example.id, example.request, session.title, session.source, coalesce(example.human_language, example.language),
    example.language, example.confidence, example.decision, example.flagged, example.edit IS NOT NULL,
    coalesce(example.agent, ''), coalesce(example.model, ''), example.turns, example.characters, example.created,
    session.directory, session.native_id
"""


def ids(workspace: Workspace, filter: Filter = EVERYTHING, order: Order = "recent") -> array[int]:
    """The ids of the examples that pass, in order. One query; about 25 ms per 100,000."""
    where, values = _where(filter)
    by = "example.confidence, example.created DESC" if order == "uncertain" else "example.created DESC, example.id DESC"
    join = "JOIN session ON session.id = example.session_id" if filter.sources or filter.session else ""
    found = workspace.connection().execute(f"SELECT example.id FROM example {join} WHERE {where} ORDER BY {by}", values)
    return array("q", (row[0] for row in found))


def rows(workspace: Workspace, ids: Sequence[int]) -> list[ExampleRow]:
    """The rows of these ids, in their order; an id that is gone is left out."""
    marks = ",".join("?" * len(ids))
    found = workspace.connection().execute(
        f"SELECT {COLUMNS} FROM example JOIN session ON session.id = example.session_id WHERE example.id IN ({marks})",
        tuple(ids),
    )
    by_id = {found_row[0]: as_row(found_row) for found_row in found}
    return [by_id[identity] for identity in ids if identity in by_id]


def counts(workspace: Workspace) -> Counts:
    """Count the candidates, answered from an index."""
    connection = workspace.connection()
    by_language: dict[str, dict[str, int]] = {}
    total = 0
    for language, decision, number in connection.execute(
        "SELECT coalesce(human_language, language), decision, count(*) FROM example WHERE dropped IS NULL "
        "GROUP BY decision, coalesce(human_language, language)"
    ):
        by_language.setdefault(language, {})[decision or UNLABELLED] = number
        total += number
    dropped = dict(
        connection.execute(
            "SELECT dropped, count(*) FROM example WHERE dropped IS NOT NULL GROUP BY dropped"
        ).fetchall()
    )
    return Counts(total=total, by_language=by_language, dropped=dropped)


def as_row(values: Sequence[object]) -> ExampleRow:
    return msgspec.convert(dict(zip(ExampleRow.__struct_fields__, values, strict=True)), ExampleRow, strict=False)


def _where(filter: Filter) -> tuple[str, list[object]]:
    conditions, values = ["example.dropped IS NULL"], list[object]()
    if filter.languages:
        conditions.append(f"coalesce(human_language, language) IN ({','.join('?' * len(filter.languages))})")
        values += filter.languages
    match filter.decision:
        case "unlabelled":
            conditions.append("decision IS NULL")
        case "labelled":
            conditions.append("decision IS NOT NULL")
        case "accept" | "reject" | "skip":
            conditions.append("decision = ?")
            values.append(filter.decision)
        case "flagged":
            conditions.append("flagged")
        case "edited":
            conditions.append("edit IS NOT NULL")
    if filter.min_confidence > 0.0:
        conditions.append("confidence >= ?")
        values.append(filter.min_confidence)
    if filter.max_confidence < 1.0:
        conditions.append("confidence <= ?")
        values.append(filter.max_confidence)
    if filter.sources:
        conditions.append(f"session.source IN ({','.join('?' * len(filter.sources))})")
        values += filter.sources
    if filter.session:
        conditions.append("session.native_id = ?")
        values.append(filter.session)
    if filter.text.strip():
        query = _match(filter.text)
        conditions.append(
            "example.doc IN (SELECT rowid FROM example_text WHERE example_text MATCH ?)" if query else "0"
        )
        values += [query] if query else []
    return " AND ".join(conditions), values


def _match(text: str) -> str:
    """What a person typed as an FTS5 query: every word must occur, the last may be unfinished."""
    words = re.findall(r"\w+", text)
    return " ".join(f'"{word}"' for word in words[:-1]) + f' "{words[-1]}"*' if words else ""
