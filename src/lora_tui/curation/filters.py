"""Which examples: the conditions a person can set, and the SQL that answers them."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Protocol

import msgspec

Decision = Literal["any", "unlabelled", "labelled", "accept", "reject", "skip", "flagged", "edited"]
Origin = Literal["session", "commit", "synthetic"]
Outcome = Literal["success", "unknown", "complained", "failed"]

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]

ORIGINS: dict[str, str] = {"git": "commit", "augment": "synthetic"}  # by source; every other one is a session
DROPPED = "any"  # as Filter.dropped: whatever the reason

LANGUAGE = "coalesce(example.human_language, example.language)"
DISAGREES = "(example.opinion != '' AND example.opinion != example.language AND example.language != 'none')"


class _Add(Protocol):
    def __call__(self, condition: str, *given: object) -> None: ...


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every given condition must hold. Dropped examples pass only where `dropped` asks for them."""

    text: str = ""  # full-text search: every word, the last one as a beginning; what holds no word finds nothing
    languages: tuple[str, ...] = ()
    decision: Decision = "any"
    sources: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()
    min_confidence: Share = 0.0
    max_confidence: Share = 1.0
    session: str = ""  # native id
    outcomes: tuple[Outcome, ...] = ()
    models: tuple[str, ...] = ()  # which wrote the answers
    agents: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()  # one of them
    has_note: bool = False
    secrets: bool = False  # in which secrets were found
    disagree: bool = False  # the written code looks like another language than the one the rules say
    near_duplicates: bool = False  # of which there are others
    cluster: NotNegative = 0  # this cluster of near-duplicates
    directory: str = ""  # this folder, or below it
    licences: tuple[str, ...] = ()
    min_characters: NotNegative = 0
    max_characters: NotNegative = 0  # 0: any length
    dropped: str = ""  # instead of candidates, what was dropped for this reason; 'any' for all reasons

    @property
    def asks_sessions(self) -> bool:
        """Whether a condition is about the session an example comes from."""
        return bool(self.sources or self.origins or self.session or self.directory or self.licences)


EVERYTHING = Filter()


def where(filter: Filter) -> tuple[str, list[object]]:
    """The SQL condition on `example` (and on `session`, where `asks_sessions`), and its values."""
    conditions: list[str] = []
    values: list[object] = []

    def add(condition: str, *given: object) -> None:
        conditions.append(condition)
        values.extend(given)

    def one_of(column: str, given: tuple[str, ...]) -> None:
        if given:
            add(f"{column} IN ({','.join('?' * len(given))})", *given)

    _dropped(filter.dropped, add)
    one_of(LANGUAGE, filter.languages)
    _decision(filter.decision, add)
    if filter.min_confidence > 0.0:
        add("example.confidence >= ?", filter.min_confidence)
    if filter.max_confidence < 1.0:
        add("example.confidence <= ?", filter.max_confidence)
    one_of("example.outcome", filter.outcomes)
    one_of("example.model", filter.models)
    one_of("example.agent", filter.agents)
    if filter.tags:
        add(f"({' OR '.join(['instr(example.tags, ?)'] * len(filter.tags))})", *map(_quoted, filter.tags))
    if filter.has_note:
        add("example.note IS NOT NULL")
    if filter.secrets:
        add("example.secrets > 0")
    if filter.disagree:
        add(DISAGREES)
    if filter.near_duplicates:
        add("example.cluster IS NOT NULL")
    if filter.cluster:
        add("example.cluster = ?", filter.cluster)
    if filter.min_characters:
        add("example.characters >= ?", filter.min_characters)
    if filter.max_characters:
        add("example.characters <= ?", filter.max_characters)
    one_of("session.source", filter.sources)
    if filter.origins:
        _origins(filter.origins, add)
    one_of("session.licence", filter.licences)
    if filter.session:
        add("session.native_id = ?", filter.session)
    if filter.directory:
        folder = filter.directory.rstrip("/") or "/"
        below = folder.rstrip("/") + "/"
        add("(session.directory = ? OR substr(session.directory, 1, ?) = ?)", folder, len(below), below)
    if filter.text.strip():
        _text(filter.text, add)
    return " AND ".join(conditions), values


def _dropped(reason: str, add: _Add) -> None:
    if not reason:
        add("example.dropped IS NULL")
    elif reason == DROPPED:
        add("example.dropped IS NOT NULL")
    else:
        add("example.dropped = ?", reason)


def _decision(decision: Decision, add: _Add) -> None:
    match decision:
        case "unlabelled":
            add("example.decision IS NULL")
        case "labelled":
            add("example.decision IS NOT NULL")
        case "accept" | "reject" | "skip":
            add("example.decision = ?", decision)
        case "flagged":
            add("example.flagged")
        case "edited":
            add("example.edit IS NOT NULL")


def _origins(origins: tuple[Origin, ...], add: _Add) -> None:
    named = [source for source, origin in ORIGINS.items() if origin in origins]
    conditions = [f"session.source IN ({','.join('?' * len(named))})"] if named else []
    if "session" in origins:
        conditions.append(f"session.source NOT IN ({','.join('?' * len(ORIGINS))})")
        named += ORIGINS
    add(f"({' OR '.join(conditions)})", *named)


def _text(text: str, add: _Add) -> None:
    """What a person typed as an FTS5 query: every word must occur, the last may be unfinished."""
    words = re.findall(r"\w+", text)
    if not words:
        add("0")
        return
    query = " ".join(f'"{word}"' for word in words[:-1]) + f' "{words[-1]}"*'
    add("example.doc IN (SELECT rowid FROM example_text WHERE example_text MATCH ?)", query)


def _quoted(tag: str) -> str:
    return msgspec.json.encode(tag).decode()
