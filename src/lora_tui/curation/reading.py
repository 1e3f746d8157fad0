"""Reading one example whole. Whoever shows or exports an example reads it here: no secret passes this door."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from lora_tui.curation.examples import COLUMNS, ExampleRow, as_row
from lora_tui.curation.outcome import Signal
from lora_tui.curation.redact import redacted
from lora_tui.curation.redact_rules import switched_off
from lora_tui.curation.refresh import stored_messages
from lora_tui.curation.segment import belongs
from lora_tui.curation.session_secrets import secrets_beside
from lora_tui.curation.verdict import Verdict
from lora_tui.sources.model import Message
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


class Example(msgspec.Struct, frozen=True):
    """One example whole; `messages` are the edited ones where a person edited them, without secrets."""

    row: ExampleRow
    key: str
    verdict: Verdict
    messages: list[Message]
    findings: dict[str, int]  # redaction rule -> how often it applied
    blocked: str = ""  # why it may not be exported at all
    signals: list[Signal] = []  # how the work went, and why


def example(workspace: Workspace, identity: int, before: Sequence[Message] = ()) -> Example:
    """One example with its messages. Raises BadInput when there is none.

    before: raw messages to put in front, of earlier requests; a value has the same placeholder in all of them.
    """
    connection = workspace.connection()
    record = connection.execute(
        f"SELECT {COLUMNS}, example.key, example.verdict, example.signals, session_id, first_seq, last_seq, "
        "label.value "
        "FROM example JOIN session ON session.id = example.session_id LEFT JOIN label ON label.id = example.edit "
        "WHERE example.id = ?",
        (identity,),
    ).fetchone()
    if record is None:
        raise BadInput(f"there is no example {identity}", fix="See `lora-tui examples list`.")
    *fields, key, verdict, signals, session, first, last, edited = record
    off = switched_off(workspace)
    beside = secrets_beside(workspace, session, identity, off)
    safe = redacted([*before, *_messages(connection, session, first, last, edited)], off, beside)
    return Example(
        row=as_row(fields, off),
        key=key,
        verdict=msgspec.json.decode(verdict, type=Verdict),
        messages=safe.messages,
        findings=safe.findings,
        blocked=safe.blocked,
        signals=msgspec.json.decode(signals, type=list[Signal]) if signals else [],
    )


def recorded(workspace: Workspace, identity: int) -> list[Message]:
    """An example's messages before any edit, without secrets. Raises BadInput when there is none."""
    connection = workspace.connection()
    found: tuple[int, int, int] | None = connection.execute(
        "SELECT session_id, first_seq, last_seq FROM example WHERE id = ?", (identity,)
    ).fetchone()
    if found is None:
        raise BadInput(f"there is no example {identity}", fix="See `lora-tui examples list`.")
    session, first, last = found
    off = switched_off(workspace)
    beside = secrets_beside(workspace, session, identity, off)
    return redacted(_messages(connection, session, first, last, None), off, beside).messages


def unredacted(workspace: Workspace, identity: int) -> list[Message]:
    """An example's messages as they are now, edited or not, with the secrets in them. Raises BadInput.

    To count in them and to compare them; what is shown or written comes from `example`.
    """
    connection = workspace.connection()
    found: tuple[int, int, int, bytes | None] | None = connection.execute(
        "SELECT session_id, first_seq, last_seq, label.value FROM example LEFT JOIN label ON label.id = example.edit "
        "WHERE example.id = ?",
        (identity,),
    ).fetchone()
    if found is None:
        raise BadInput(f"there is no example {identity}", fix="See `lora-tui examples list`.")
    return _messages(connection, *found)


def _messages(
    connection: sqlite3.Connection, session: int, first: int, last: int, edited: bytes | None
) -> list[Message]:
    if edited is not None:
        return msgspec.json.decode(edited, type=list[Message])
    return [message for message in stored_messages(connection, session, first, last) if belongs(message)]
