"""What the labels of an example add up to now: derived from the append-only table, kept in `example` for filters."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

# A label row that nobody took back. Undo is a row about the same example that names the batch.
HOLDS = (
    "action != 'undo' AND NOT EXISTS "
    "(SELECT 1 FROM label AS taken WHERE taken.example_id = label.example_id AND taken.undoes = label.batch)"
)


def derive(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Work out decision, language, flag and edit of these examples. Only labels given for their content count."""
    choose(connection, ids)
    derive_chosen(connection)


def choose(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Put the ids that the next statements are about into the temporary table `chosen`."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS chosen (id INTEGER PRIMARY KEY)")
    connection.execute("DELETE FROM chosen")
    connection.executemany("INSERT OR IGNORE INTO chosen VALUES (?)", ((identity,) for identity in ids))


def derive_chosen(connection: sqlite3.Connection) -> None:
    """`derive` for the ids in `chosen`."""
    connection.execute(_DERIVE)


def _latest(what: str, actions: str) -> str:
    return (
        f"(SELECT {what} FROM label WHERE example_id = example.id AND example_key = example.key "
        f"AND action IN ({actions}) AND {HOLDS} ORDER BY id DESC LIMIT 1)"
    )


_DERIVE = f"""
UPDATE example SET
    decision = {_latest("action", "'accept','reject','skip'")},
    human_language = {_latest("CAST(value AS TEXT)", "'language'")},
    flagged = coalesce({_latest("action = 'flag'", "'flag','unflag'")}, 0),
    edit = {_latest("label.id", "'edit'")}
WHERE id IN chosen
"""
