"""Decisions about examples. Every decision is a new row; undo is a row too, and goes back as far as you like."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from lora_tui.curation.decisions import HOLDS, choose, derive_chosen
from lora_tui.curation.reading import example
from lora_tui.sources.model import Message
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

Action = Literal["accept", "reject", "skip", "language", "flag", "unflag"]


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


class Undone(msgspec.Struct, frozen=True):
    """What an undo took back."""

    batch: str
    action: str
    ids: list[int]


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

    `value` is the language for the action 'language'; `language` says it together with another action. Raises
    BadInput for an id that is no example.
    """
    if action == "language" and not value:
        raise BadInput("a language decision needs the language")
    decided = [(action, value.encode() if value is not None else None)]
    if language is not None:
        decided.append(("language", language.encode()))
    return _append(workspace, ids, decided, author=author, seconds=seconds, reason=reason)


def edit(workspace: Workspace, identity: int, messages: Sequence[Message], *, author: str, reason: str = "") -> str:
    """Record an edited version of an example beside the original. Raises BadInput when nothing would be left."""
    if not any(message.role == "assistant" for message in messages):
        raise BadInput("an example needs at least one assistant message", where=f"example {identity}")
    if list(messages) == example(workspace, identity).messages:
        raise BadInput("nothing was changed", where=f"example {identity}")
    decided = [("edit", msgspec.json.encode(list(messages)))]
    return _append(workspace, [identity], decided, author=author, reason=reason)


def decide_each(
    workspace: Workspace, decided: Iterable[tuple[int, str, bytes]], *, author: str, reason: str = ""
) -> str:
    """Record decisions that differ from example to example, as (id, action, value), so that one undo takes all back.

    Returns their batch. Nothing is checked: ids, actions and values must be right.
    """
    batch = secrets.token_hex(8)
    with workspace.transaction() as connection:
        ids: set[int] = set()
        for identity, action, value in decided:
            ids.add(identity)
            connection.execute(
                "INSERT INTO label (example_id, example_key, action, value, author, at, reason, batch) "
                "SELECT id, key, ?, ?, ?, ?, ?, ? FROM example WHERE id = ?",
                (action, value or None, author, _now(), reason or None, batch, identity),
            )
        choose(connection, sorted(ids))
        derive_chosen(connection)
    return batch


def undo(workspace: Workspace, author: str, ids: Sequence[int] = ()) -> Undone | None:
    """Take back this author's latest decision that still holds; None when there is none left.

    With `ids`, the latest decision about one of these, and only as far as it is about these.
    """
    with workspace.transaction() as connection:
        choose(connection, ids)
        only = "AND example_id IN chosen" if ids else ""
        found = connection.execute(
            f"SELECT batch, action FROM label WHERE author = ? AND {HOLDS} {only} ORDER BY id DESC LIMIT 1", (author,)
        ).fetchone()
        if found is None:
            return None
        batch, action = found
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
            (author, _now(), secrets.token_hex(8), batch),
        )
        derive_chosen(connection)
    return Undone(batch=batch, action=action, ids=taken)


def history(workspace: Workspace, identity: int) -> list[Label]:
    """Every row about an example, oldest first; an edit's value is shown by its length."""
    found = workspace.connection().execute(
        f"SELECT action, value, author, at, seconds, coalesce(reason, ''), NOT ({HOLDS}), "
        "example_key != (SELECT key FROM example WHERE id = example_id) "
        "FROM label WHERE example_id = ? ORDER BY id",
        (identity,),
    )
    return [
        Label(
            action, _shown(action, value), author, at, seconds, reason, bool(undone) and action != "undo", bool(stale)
        )
        for action, value, author, at, seconds, reason, undone, stale in found
    ]


def _append(
    workspace: Workspace,
    ids: Sequence[int],
    decided: Sequence[tuple[str, bytes | None]],
    *,
    author: str,
    seconds: float | None = None,
    reason: str = "",
) -> str:
    batch = secrets.token_hex(8)
    with workspace.transaction() as connection:
        choose(connection, ids)
        missing = connection.execute(
            "SELECT id FROM chosen WHERE id NOT IN (SELECT id FROM example) LIMIT 1"
        ).fetchone()
        if missing:
            raise BadInput(f"there is no example {missing[0]}", fix="See `lora-tui examples list`.")
        for action, value in decided:
            connection.execute(
                "INSERT INTO label (example_id, example_key, action, value, author, at, seconds, reason, batch) "
                "SELECT id, key, ?, ?, ?, ?, ?, ?, ? FROM example WHERE id IN chosen ORDER BY id",
                (action, value, author, _now(), seconds, reason or None, batch),
            )
        derive_chosen(connection)
    return batch


def _now() -> int:
    return time.time_ns() // 1_000_000


def _shown(action: str, value: bytes | None) -> str | None:
    if value is None:
        return None
    return f"{len(value):,} bytes" if action == "edit" else value.decode()
