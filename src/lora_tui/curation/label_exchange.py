"""Labels as JSONL, to back them up, to move them, and to bring together what two people decided on two machines.

A row names its example by source, session, native id and content. Batches keep their names, so importing twice adds
nothing, and an undo means the same decision everywhere. Texts leave without the secrets that were found in them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, get_args

import msgspec

from lora_tui.curation.decisions import derive
from lora_tui.curation.labels import TAG, Action
from lora_tui.curation.redact import redact_text, redacted
from lora_tui.sources.model import Message
from lora_tui.workspace.layout import Workspace

_ACTIONS = (*get_args(Action), "edit", "undo")
_NEEDS_VALUE = ("language", "note", "tag", "untag", "edit")
_LATEST = 253_402_300_799_000  # the end of the year 9999, in epoch milliseconds


class LabelRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the file. Unknown keys are skipped: a newer version may say more."""

    source: str
    session: str  # native ids
    example: str
    key: str  # the content it was given for
    action: str
    author: str
    at: int  # epoch milliseconds
    batch: str
    value: str | None = None
    messages: list[Message] = []  # of an edit
    seconds: float | None = None
    reason: str = ""
    undoes: str = ""
    again: bool = False


class Problem(msgspec.Struct, frozen=True):
    """A line that was not taken in."""

    line: int  # from 1
    reason: str


class ImportedLabels(msgspec.Struct, frozen=True):
    """What an import did. `unknown`: lines whose example is not here; import the sessions first, then again."""

    rows: int
    added: int
    known: int  # here already
    other_content: int  # of those added, given for a content the example does not have now: history
    examples: int  # whose labels changed
    unknown: list[Problem]
    wrong: list[Problem]


def exported(workspace: Workspace, author: str = "") -> Iterator[LabelRow]:
    """Every label, undone ones and undos too, oldest first; of one author or of all.

    An edit that holds a private key stays here.
    """
    found = workspace.connection().execute(_EXPORT, (author, author))
    found.row_factory = _as_row
    for row in found:
        if row is not None:
            yield row


def import_labels(workspace: Workspace, lines: Iterable[bytes]) -> ImportedLabels:
    """Take in the lines of a file, all in one transaction; a line that cannot be read is listed, the rest counts.

    The latest decision about a content holds, by its time, whoever made it and wherever.
    """
    unknown, wrong = list[Problem](), list[Problem]()
    touched: set[int] = set()
    rows = added = known = other = 0
    with workspace.transaction() as connection:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            rows += 1
            try:
                row = _row(line)
            except (msgspec.DecodeError, ValueError) as error:
                wrong.append(Problem(number, redact_text(str(error))[0]))
                continue
            found = connection.execute(_FIND, msgspec.structs.asdict(row) | {"messages": None}).fetchone()
            if found is None:
                unknown.append(Problem(number, f"{row.source} {row.session}/{row.example} is not here"))
                continue
            identity, key = found
            if _is_here(connection, identity, row):
                known += 1
                continue
            _insert(connection, identity, row)
            added += 1
            other += key != row.key
            touched.add(identity)
        derive(connection, sorted(touched))
    return ImportedLabels(rows, added, known, other, len(touched), unknown, wrong)


def _as_row(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> LabelRow | None:
    """What leaves of a label; None for what must not."""
    given: dict[str, Any] = dict(zip((column[0] for column in cursor.description), values, strict=True))
    value: bytes | None = given.pop("value")
    if given["action"] == "edit" and value is not None:
        safe = redacted(msgspec.json.decode(value, type=list[Message]))
        if safe.blocked:
            return None
        given["messages"] = safe.messages
    elif value is not None:
        given["value"] = redact_text(value.decode())[0]
    given["reason"] = redact_text(given["reason"])[0]
    given["again"] = bool(given["again"])
    return LabelRow(**given)


def _row(line: bytes) -> LabelRow:
    row = msgspec.json.decode(line, type=LabelRow)
    if row.action not in _ACTIONS:
        raise ValueError(f"unknown action {row.action!r}")
    if not row.batch or not row.author:
        raise ValueError("a label needs its batch and its author")
    if not 0 <= row.at <= _LATEST:
        raise ValueError(f"no label was given at {row.at} ms")
    if row.action == "edit":
        if not any(message.role == "assistant" for message in row.messages):
            raise ValueError("an edit needs at least one assistant message")
    elif row.action == "undo":
        if not row.undoes:
            raise ValueError("an undo needs the batch it takes back")
    elif row.action in _NEEDS_VALUE and (row.value is None or (not row.value and row.action != "note")):
        raise ValueError(f"the action {row.action!r} needs a value")
    if row.action in ("tag", "untag") and not TAG.fullmatch(row.value or ""):
        raise ValueError(f"{row.value!r} cannot be a tag")
    if row.action == "tag" and redact_text(row.value or "")[1]:
        raise ValueError("a tag must not hold a secret or personal data")
    return row


def _is_here(connection: sqlite3.Connection, identity: int, row: LabelRow) -> bool:
    """The same action of the same decision about the same example; a decision may give several tags."""
    tag = row.value.encode() if row.value is not None and row.action in ("tag", "untag") else None
    found = connection.execute(_HERE, (row.batch, identity, row.action, tag, tag))
    return found.fetchone() is not None


def _insert(connection: sqlite3.Connection, identity: int, row: LabelRow) -> None:
    value: bytes | None = msgspec.json.encode(row.messages) if row.action == "edit" else None
    if value is None and row.value is not None:
        value = row.value.encode()
    given: tuple[Any, ...] = (row.author, row.at, row.seconds, row.reason or None, row.batch, row.undoes or None)
    connection.execute(_INSERT, (identity, row.key, row.action, value, *given, row.again))


_EXPORT = """
SELECT session.source, session.native_id AS session, example.native_id AS example, example_key AS key, action, value,
    author, at, batch, seconds, coalesce(reason, '') AS reason, coalesce(undoes, '') AS undoes, again
FROM label JOIN example ON example.id = example_id JOIN session ON session.id = session_id
WHERE author = ? OR ? = '' ORDER BY label.id
"""

# By its place; else by its content: the same session may have come here by another way.
_FIND = """
SELECT id, key FROM (
    SELECT example.id, example.key, 0 AS choice FROM example JOIN session ON session.id = session_id
    WHERE source = :source AND session.native_id = :session AND example.native_id = :example
    UNION ALL
    SELECT id, key, 1 + (dropped IS NOT NULL) FROM example WHERE key = :key
) ORDER BY choice, id LIMIT 1
"""

_HERE = """
SELECT 1 FROM label WHERE batch = ? AND example_id = ? AND action = ? AND (? IS NULL OR value = ?) LIMIT 1
"""

_INSERT = """
INSERT INTO label (example_id, example_key, action, value, author, at, seconds, reason, batch, undoes, again)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
