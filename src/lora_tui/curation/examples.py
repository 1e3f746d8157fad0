"""Examples: finding and listing training candidates. reading.py reads one whole."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import msgspec

from lora_tui.curation.filters import EVERYTHING, Decision, Filter, where
from lora_tui.curation.orders import Order, ordered
from lora_tui.curation.redact import redact_text
from lora_tui.curation.redact_rules import switched_off
from lora_tui.curation.refresh import Refreshed, refresh
from lora_tui.workspace.layout import Workspace

__all__ = ["Counts", "Decision", "ExampleRow", "Filter", "Order", "Refreshed", "counts", "ids", "refresh", "rows"]

UNLABELLED = "unlabelled"


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
    outcome: str
    opinion: str  # the language the written code looks like, '' for none
    secrets: int  # found in it
    cluster: int  # of near-duplicates; 0 when there are none
    tags: tuple[str, ...]
    note: str
    licence: str
    dropped: str  # why it is no candidate, '' for one
    duplicate_of: int


class Counts(msgspec.Struct, frozen=True):
    """How many candidates there are, per language and decision, and what was dropped why."""

    total: int
    by_language: dict[str, dict[str, int]]  # language -> decision or 'unlabelled' -> examples
    dropped: dict[str, int]

    def of(self, decision: str, language: str | None = None) -> int:
        """Candidates with this decision, in one language or in all."""
        chosen = self.by_language.values() if language is None else [self.by_language.get(language, {})]
        return sum(counts.get(decision, 0) for counts in chosen)


COLUMNS = """
    example.id, example.request, session.title, session.source, coalesce(example.human_language, example.language),
    example.language, example.confidence, example.decision, example.flagged, example.edit IS NOT NULL,
    coalesce(example.agent, ''), coalesce(example.model, ''), example.turns, example.characters, example.created,
    session.directory, session.native_id, example.outcome, example.opinion, example.secrets,
    coalesce(example.cluster, 0), example.tags, coalesce(example.note, ''), session.licence,
    coalesce(example.dropped, ''), coalesce(example.duplicate_of, 0)
"""


def ids(workspace: Workspace, filter: Filter = EVERYTHING, order: Order = "recent", seed: str = "") -> array[int]:
    """The ids of the examples that pass, in order. One query; about 30 ms per 100,000. `seed` is for 'random'."""
    source, values = _passing(filter)
    return ordered(workspace.connection(), source, values, order, seed)


def number(workspace: Workspace, filter: Filter, condition: str = "1") -> int:
    """How many examples pass, and meet an SQL condition besides."""
    source, values = _passing(filter)
    found = workspace.connection().execute(f"SELECT count(*) {source} AND {condition}", values)
    return int(found.fetchone()[0])


def rows(workspace: Workspace, ids: Sequence[int]) -> list[ExampleRow]:
    """The rows of these ids, in their order; an id that is gone is left out."""
    off = switched_off(workspace)
    marks = ",".join("?" * len(ids))
    found = workspace.connection().execute(
        f"SELECT {COLUMNS} FROM example JOIN session ON session.id = example.session_id WHERE example.id IN ({marks})",
        tuple(ids),
    )
    by_id = {found_row[0]: as_row(found_row, off) for found_row in found}
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


def _passing(filter: Filter) -> tuple[str, list[object]]:
    """FROM … WHERE … of what passes, and its values."""
    condition, values = where(filter)
    session = "JOIN session ON session.id = example.session_id" if filter.asks_sessions else ""
    return f"FROM example {session} WHERE {condition}", values


def as_row(values: Sequence[object], off: frozenset[str]) -> ExampleRow:
    """A row of COLUMNS; what a source or a person wrote is redacted (`off`: the rules that are not applied)."""
    given = dict(zip(ExampleRow.__struct_fields__, values, strict=True))
    for name in ("title", "directory", "note"):
        given[name] = redact_text(str(given[name]), off)[0]
    given["tags"] = msgspec.json.decode(str(given["tags"]))
    return msgspec.convert(given, ExampleRow, strict=False)
