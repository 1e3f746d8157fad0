"""Decisions about examples. Every decision is a new row; undo is a row too, and goes back as far as you like."""

from __future__ import annotations

import random
import re
import secrets
import sqlite3
import time
from array import array
from collections.abc import Sequence
from typing import Literal

import msgspec

from lora_tui.curation import examples
from lora_tui.curation.decisions import HOLDS, choose, derive_chosen
from lora_tui.curation.examples import ExampleRow
from lora_tui.curation.filters import Filter
from lora_tui.curation.reading import example
from lora_tui.curation.redact import redact_text
from lora_tui.sources.model import Message
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

Action = Literal["accept", "reject", "skip", "language", "flag", "unflag", "note", "tag", "untag"]

DECIDES = ("accept", "reject", "skip")  # what answers the question; the other actions say something beside it
TAG = re.compile(r"[\w.:+-]{1,40}")

_MEANS = {"language": "the language", "note": "its text ('' removes it)", "tag": "the tag", "untag": "the tag"}


class Label(msgspec.Struct, frozen=True):
    """One row of an example's history."""

    action: str
    value: str | None
    author: str
    at: int  # epoch milliseconds
    seconds: float | None
    reason: str
    undone: bool
    stale: bool  # given for a content the example no longer has
    again: bool  # the question was asked a second time


class Undone(msgspec.Struct, frozen=True):
    """What an undo took back. `positions`: (queue id, position) of the questions that are open again."""

    batch: str
    action: str
    ids: list[int]
    positions: list[tuple[int, int]] = []


class Preview(msgspec.Struct, frozen=True):
    """What a decision about a whole filter would be about."""

    ids: array[int]
    decided: int  # of them, already accepted, rejected or skipped
    sample: list[ExampleRow]  # drawn at random, the same for the same ids


def decide(
    workspace: Workspace,
    ids: Sequence[int],
    action: Action,
    value: str | None = None,
    *,
    author: str,
    seconds: float | None = None,
    reason: str = "",
    language: str | None = None,
) -> str:
    """Record one decision about these examples; returns its batch, which one undo takes back whole.

    `value` is what the actions 'language', 'note', 'tag' and 'untag' are about; `language` says it together with
    another action. The author's queues count the examples as decided. Raises BadInput for an id that is no example.
    """
    said = [(action, value)] + ([("language", language)] if language is not None else [])
    return decide_together(workspace, ids, said, author=author, seconds=seconds, reason=reason)


def decide_together(
    workspace: Workspace,
    ids: Sequence[int],
    said: Sequence[tuple[str, str | None]],
    *,
    author: str,
    seconds: float | None = None,
    reason: str = "",
) -> str:
    """Several actions with their values as one decision: one batch, one undo. Raises BadInput."""
    decided = [(action, encoded(action, value)) for action, value in said]
    batch = new_batch()
    with workspace.transaction() as connection:
        append(connection, ids, decided, batch, author=author, seconds=seconds, reason=reason)
        if any(action in DECIDES for action, _ in decided):
            connection.execute(_ANSWER_QUEUES, (batch, author))
    return batch


def edit(workspace: Workspace, identity: int, messages: Sequence[Message], *, author: str, reason: str = "") -> str:
    """Record an edited version of an example beside the original. Raises BadInput when nothing would be left."""
    if not any(message.role == "assistant" for message in messages):
        raise BadInput("an example needs at least one assistant message", where=f"example {identity}")
    if list(messages) == example(workspace, identity).messages:
        raise BadInput("nothing was changed", where=f"example {identity}")
    batch = new_batch()
    with workspace.transaction() as connection:
        decided = [("edit", msgspec.json.encode(list(messages)))]
        append(connection, [identity], decided, batch, author=author, reason=reason)
    return batch


def undo(workspace: Workspace, author: str, ids: Sequence[int] = ()) -> Undone | None:
    """Take back this author's latest decision that still holds; None when there is none left.

    With `ids`, the latest decision about one of these, and only as far as it is about these.
    """
    with workspace.transaction() as connection:
        choose(connection, ids)
        only = "AND example_id IN chosen" if ids else ""
        found = connection.execute(
            f"SELECT batch FROM label WHERE author = ? AND {HOLDS} {only} ORDER BY id DESC LIMIT 1", (author,)
        ).fetchone()
        if found is None:
            return None
        (batch,) = found
        (action,) = connection.execute(
            f"SELECT action FROM label WHERE batch = ? AND {HOLDS} {only} ORDER BY id LIMIT 1", (batch,)
        ).fetchone()
        taken = [
            row[0]
            for row in connection.execute(
                f"SELECT DISTINCT example_id FROM label WHERE batch = ? AND {HOLDS} {only} ORDER BY example_id",
                (batch,),
            )
        ]
        choose(connection, taken)
        connection.execute(
            "INSERT INTO label (example_id, example_key, action, author, at, batch, undoes) "
            "SELECT id, key, 'undo', ?, ?, ?, ? FROM example WHERE id IN chosen",
            (author, _now(), new_batch(), batch),
        )
        derive_chosen(connection)
        positions = connection.execute(
            "SELECT queue_id, position FROM queue_item WHERE batch = ? AND example_id IN chosen", (batch,)
        ).fetchall()
        connection.execute(_ASK_AGAIN, (author, batch))
    return Undone(batch=batch, action=action, ids=taken, positions=positions)


def preview(workspace: Workspace, filter: Filter, size: int = 5) -> Preview:
    """What `decide` on everything that passes the filter would be about."""
    found = examples.ids(workspace, filter)
    decided = examples.number(workspace, filter, "example.decision IS NOT NULL")
    drawn = random.Random(len(found)).sample(range(len(found)), min(size, len(found)))
    return Preview(found, decided, examples.rows(workspace, [found[place] for place in sorted(drawn)]))


def history(workspace: Workspace, identity: int) -> list[Label]:
    """Every row about an example, oldest first; an edit's value is shown by its length."""
    found = workspace.connection().execute(
        f"SELECT action, value, author, at, seconds, coalesce(reason, ''), NOT ({HOLDS}) AND action != 'undo', "
        "example_key != (SELECT key FROM example WHERE id = example_id), again "
        "FROM label WHERE example_id = ? ORDER BY id",
        (identity,),
    )
    return [
        Label(action, _shown(action, value), author, at, seconds, safe(reason), bool(undone), bool(stale), bool(again))
        for action, value, author, at, seconds, reason, undone, stale, again in found
    ]


def append(
    connection: sqlite3.Connection,
    ids: Sequence[int],
    decided: Sequence[tuple[str, bytes | None]],
    batch: str,
    *,
    author: str,
    seconds: float | None = None,
    reason: str = "",
    again: bool = False,
) -> None:
    """Within a transaction: write the rows of one decision and derive what they add up to; `chosen` holds the ids."""
    choose(connection, ids)
    missing = connection.execute("SELECT id FROM chosen WHERE id NOT IN (SELECT id FROM example) LIMIT 1").fetchone()
    if missing:
        raise BadInput(f"there is no example {missing[0]}", fix="See `lora-tui examples list`.")
    # The latest decision counts, by time: a clock that was put back does not make an earlier one win.
    (latest,) = connection.execute("SELECT max(at) FROM label WHERE example_id IN chosen").fetchone()
    at = max(_now(), (latest or 0) + 1)
    for action, value in decided:
        connection.execute(
            "INSERT INTO label (example_id, example_key, action, value, author, at, seconds, reason, batch, again) "
            "SELECT id, key, ?, ?, ?, ?, ?, ?, ?, ? FROM example WHERE id IN chosen ORDER BY id",
            (action, value, author, at, seconds, reason or None, batch, again),
        )
    derive_chosen(connection)


def encoded(action: str, value: str | None) -> bytes | None:
    """A value as the table keeps it. Raises BadInput where the action's value is missing or cannot be one."""
    if action not in _MEANS:
        return None
    if value is None or (not value and action != "note"):
        raise BadInput(f"the action '{action}' needs {_MEANS[action]}")
    if action in ("tag", "untag") and not TAG.fullmatch(value):
        raise BadInput(f"{safe(value)!r} cannot be a tag", fix="A tag is one word of letters, digits and . : + - _")
    if action == "tag" and redact_text(value)[1]:
        raise BadInput("a tag must not hold a secret or personal data", fix="Tags are shown and exported as they are.")
    return value.encode()


def new_batch() -> str:
    """The name of a decision nobody else takes."""
    return secrets.token_hex(8)


def safe(text: str) -> str:
    """What a person wrote about an example, as it may be shown."""
    return redact_text(text)[0]


def _now() -> int:
    return time.time_ns() // 1_000_000


def _shown(action: str, value: bytes | None) -> str | None:
    if value is None:
        return None
    return f"{len(value):,} bytes" if action == "edit" else safe(value.decode())


# A question is open again, unless an earlier answer given in the queue's time holds.
_ASK_AGAIN = f"""
UPDATE queue_item SET batch = (
    SELECT label.batch FROM label WHERE label.example_id = queue_item.example_id AND +author = ? AND {HOLDS}
    AND action IN ('accept', 'reject', 'skip') AND label.again = queue_item.again
    AND at >= (SELECT created FROM queue WHERE queue.id = queue_item.queue_id) ORDER BY at DESC, label.id DESC LIMIT 1
) WHERE batch = ? AND example_id IN chosen
"""

# Wherever it was decided, the author's own queues need not ask again. Repeated questions are answered in their queue.
_ANSWER_QUEUES = """
UPDATE queue_item SET batch = ?
WHERE example_id IN chosen AND batch IS NULL AND NOT again AND queue_id IN (SELECT id FROM queue WHERE author = ?)
"""
