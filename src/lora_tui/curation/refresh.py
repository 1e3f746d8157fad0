"""Keeping the examples in step with the sessions: segment what is new or changed, find what a fork repeats."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

import msgspec

from lora_tui.curation import decisions, outcome, snippets, tool_names
from lora_tui.curation.classify import VERSION as CLASSES
from lora_tui.curation.clusters import recluster
from lora_tui.curation.language_rules import rules
from lora_tui.curation.redact import Redactor
from lora_tui.curation.redact_rules import Rule, switched_off
from lora_tui.curation.redact_rules import stamp as redaction
from lora_tui.curation.segment import VERSION as SEGMENTS
from lora_tui.curation.segment import Segment, segments
from lora_tui.sources.model import Message
from lora_tui.workspace.layout import Workspace

_SESSIONS_PER_TRANSACTION = 50

_decoder = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()


class Refreshed(msgspec.Struct, frozen=True):
    """What a refresh did."""

    sessions: int
    examples: int  # candidates added or changed
    dropped: dict[str, int]  # no candidates, by reason


def refresh(workspace: Workspace, progress: Callable[[int, int], None] | None = None) -> Refreshed:
    """Make the examples of every session whose content changed since its examples were made.

    Works in short transactions, so the app can label meanwhile; killed half-way, the next refresh goes on.
    """
    connection = workspace.connection()
    off = switched_off(workspace)
    made_with = stamp(off)
    due = [
        row[0]
        for row in connection.execute(
            "SELECT id FROM session WHERE curated != fingerprint || ? ORDER BY created, id", (made_with,)
        )
    ]
    examples = 0
    dropped: dict[str, int] = {}
    for start in range(0, len(due), _SESSIONS_PER_TRANSACTION):
        with workspace.transaction() as connection:
            for session in due[start : start + _SESSIONS_PER_TRANSACTION]:
                for reason in _one_session(connection, session, made_with, off):
                    if reason:
                        dropped[reason] = dropped.get(reason, 0) + 1
                    else:
                        examples += 1
        if progress is not None:
            progress(min(start + _SESSIONS_PER_TRANSACTION, len(due)), len(due))
    recluster(workspace)
    return Refreshed(sessions=len(due), examples=examples, dropped=dropped)


class _Known(msgspec.Struct, frozen=True):
    """What is stored of a segment."""

    id: int
    key: str
    dropped: str | None
    findings: bytes | None
    doc: int | None

    def is_still(self, segment: Segment) -> bool:
        settled = "" if self.dropped == "duplicate" else self.dropped or ""
        return self.key == segment.key and settled == segment.dropped

    def indexed(self, segment: Segment) -> int | None:
        """The row of the search index that still says what this segment says."""
        same = self.key == segment.key and self.findings == _encoder.encode(segment.findings)
        return self.doc if same else None


def stamp(off: frozenset[str] = frozenset()) -> str:
    """What examples are made with: the tables' versions, the redaction rules that are off. Another one: all anew."""
    tables = (rules().table.version, snippets.table().version, tool_names.table().version)
    return " " + ".".join(map(str, (SEGMENTS, CLASSES, *tables, outcome.stamp(), redaction(off))))


def stored_messages(
    connection: sqlite3.Connection, session: int, first: int = 0, last: int | None = None
) -> Iterator[Message]:
    """A stored session's messages in order, one at a time."""
    rows = connection.execute(
        "SELECT body FROM message WHERE session_id = ? AND seq >= ? AND seq <= ? ORDER BY seq",
        (session, first, last if last is not None else 1 << 60),
    )
    for (body,) in rows:
        yield _decoder.decode(body)


def _one_session(connection: sqlite3.Connection, session: int, made_with: str, off: frozenset[str]) -> list[str]:
    """Store one session's segments; returns each one's reason to be dropped ('' for a candidate)."""
    known = {native: _Known(*rest) for native, *rest in connection.execute(_KNOWN, (session,))}
    query = "SELECT curated, source FROM session WHERE id = ?"
    before, source = connection.execute(query, (session,)).fetchone()
    same_rules = before.endswith(made_with)
    reasons: list[str] = []
    secrets: dict[str, Rule] = {}
    found = list(segments(stored_messages(connection, session), source, off, secrets))
    if secrets:  # what a later message tells may stand alone in an earlier one
        found = list(segments(stored_messages(connection, session), source, off, secrets))
        _hide_in_title(connection, session, secrets, off)
    for segment in found:
        stored = known.pop(segment.native_id, None)
        if stored is not None and same_rules and stored.is_still(segment):
            # its place may have moved, and what the user said next tells how it went
            signals = _encoder.encode(segment.signals)
            connection.execute(
                "UPDATE example SET first_seq = ?, last_seq = ?, outcome = ?, signals = ? WHERE id = ?",
                (segment.first_seq, segment.last_seq, segment.outcome, signals, stored.id),
            )
            continue
        reasons.append(_store(connection, session, segment, stored))
    reasons += [_withdraw(connection, gone.id) for gone in known.values() if gone.dropped != "withdrawn"]
    connection.execute("UPDATE session SET curated = fingerprint || ? WHERE id = ?", (made_with, session))
    return reasons


def _hide_in_title(connection: sqlite3.Connection, session: int, secrets: dict[str, Rule], off: frozenset[str]) -> None:
    """A title is shown in lists, where what its conversation tells about it is not read."""
    (title,) = connection.execute("SELECT title FROM session WHERE id = ?", (session,)).fetchone()
    if any(value in title for value in secrets):
        safe = Redactor(off, dict(secrets)).text(title)
        connection.execute("UPDATE session SET title = ? WHERE id = ?", (safe, session))


def _withdraw(connection: sqlite3.Connection, identity: int) -> str:
    """Undone at the source: no candidate any more, its labels stay. What repeated it takes its place."""
    connection.execute("UPDATE example SET dropped = 'withdrawn', duplicate_of = NULL WHERE id = ?", (identity,))
    _settle_followers(connection, identity)
    return "withdrawn"


def _store(connection: sqlite3.Connection, session: int, segment: Segment, stored: _Known | None) -> str:
    """Store a new or changed segment. Decisions given for this very content hold again; others are history."""
    doc = stored.indexed(segment) if stored is not None else None
    if not segment.dropped and doc is None:
        doc = connection.execute("INSERT INTO example_text (text) VALUES (?)", (segment.search,)).lastrowid
    values = (
        segment.first_seq,
        segment.last_seq,
        segment.key,
        segment.request,
        segment.verdict.language,
        segment.verdict.confidence,
        _encoder.encode(segment.verdict),
        segment.agent,
        segment.model,
        segment.turns,
        segment.characters,
        segment.created,
        segment.dropped or None,
        doc,
        _encoder.encode(segment.findings),
        segment.secrets,
        segment.outcome,
        _encoder.encode(segment.signals),
        segment.verdict.opinion,
    )
    if stored is None:
        identity = connection.execute(_INSERT, (session, segment.native_id, *values)).lastrowid
        assert identity is not None
    else:
        identity = stored.id
        connection.execute(_UPDATE, (*values, identity))
        connection.execute("DELETE FROM example_call WHERE example_id = ?", (identity,))
        decisions.derive(connection, [identity])
    connection.executemany(
        "INSERT OR IGNORE INTO example_call VALUES (?, ?)", [(call, identity) for call in segment.calls]
    )
    if not segment.dropped:
        _mark_duplicates(connection, identity)
    if stored is not None:
        _settle_followers(connection, identity)
    (reason,) = connection.execute("SELECT coalesce(dropped, '') FROM example WHERE id = ?", (identity,)).fetchone()
    return str(reason)


def _settle_followers(connection: sqlite3.Connection, identity: int) -> None:
    """What was dropped as a duplicate of this example is looked at anew: this one has changed, or is gone."""
    followers = connection.execute("SELECT id FROM example WHERE duplicate_of = ? ORDER BY id", (identity,)).fetchall()
    for (follower,) in followers:
        connection.execute("UPDATE example SET dropped = NULL, duplicate_of = NULL WHERE id = ?", (follower,))
        connection.execute(_TAKE_OVER, {"follower": follower, "from": identity})
        decisions.derive(connection, [follower])
    for (follower,) in followers:
        _mark_duplicates(connection, follower)


def _mark_duplicates(connection: sqlite3.Connection, identity: int) -> None:
    """A fork repeats its origin's calls: of two segments, the one whose calls all occur in the other is dropped."""
    for (other,) in connection.execute(_REPEATS, {"id": identity}).fetchall():
        gone, stays = sorted((identity, other), key=lambda one: _rank(connection, one))
        connection.execute("UPDATE example SET dropped = 'duplicate', duplicate_of = ? WHERE id = ?", (stays, gone))
        connection.execute("UPDATE example SET duplicate_of = ? WHERE duplicate_of = ?", (stays, gone))
        if gone == identity:
            return


def _rank(connection: sqlite3.Connection, identity: int) -> tuple[int, int, int]:
    """Of two that repeat each other the higher one stays: one a person decided about, the fuller, the earlier."""
    decided, calls = connection.execute(_WEIGHT, (identity,)).fetchone()
    return decided, calls, -identity


_KNOWN = "SELECT native_id, id, key, dropped, findings, doc FROM example WHERE session_id = ?"

_INSERT = """
INSERT INTO example (session_id, native_id, first_seq, last_seq, key, request, language, confidence, verdict, agent,
                     model, turns, characters, created, dropped, doc, findings, secrets, outcome, signals, opinion)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_UPDATE = """
UPDATE example SET first_seq = ?, last_seq = ?, key = ?, request = ?, language = ?, confidence = ?, verdict = ?,
    agent = ?, model = ?, turns = ?, characters = ?, created = ?, dropped = ?, doc = ?,
    findings = ?, secrets = ?, outcome = ?, signals = ?, opinion = ?, duplicate_of = NULL
WHERE id = ?
"""

# A copy that nobody could decide about gets what was decided about the same content.
_TAKE_OVER = """
INSERT INTO label (example_id, example_key, action, value, author, at, seconds, reason, batch, undoes, again)
SELECT :follower, example_key, action, value, author, at, seconds, reason, batch, undoes, again FROM label
WHERE example_id = :from AND example_key = (SELECT key FROM example WHERE id = :follower)
AND NOT EXISTS (SELECT 1 FROM label WHERE example_id = :follower) ORDER BY id
"""

_WEIGHT = """
SELECT decision IS NOT NULL OR edit IS NOT NULL, (SELECT count(*) FROM example_call WHERE example_id = example.id)
FROM example WHERE id = ?
"""

# Candidates with the same content, or with calls that all occur in this one, or the other way round.
_REPEATS = """
SELECT id FROM example WHERE key = (SELECT key FROM example WHERE id = :id) AND id != :id AND dropped IS NULL
UNION
SELECT other.example_id
FROM example_call AS mine
JOIN example_call AS other ON other.call_id = mine.call_id AND other.example_id != :id
JOIN example ON example.id = other.example_id AND example.dropped IS NULL
WHERE mine.example_id = :id
GROUP BY other.example_id
HAVING count(*) IN (
    (SELECT count(*) FROM example_call WHERE example_id = :id),
    (SELECT count(*) FROM example_call WHERE example_id = other.example_id)
)
"""
