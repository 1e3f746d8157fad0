"""What the labels of an example add up to now: derived from the append-only table, kept in `example` for filters."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

# A label row that nobody took back. Undo is a row about the same example that names the batch.
HOLDS = (
    "action != 'undo' AND NOT EXISTS "
    "(SELECT 1 FROM label AS taken WHERE taken.example_id = label.example_id AND taken.undoes = label.batch)"
)

# Each author's latest decision that holds, per content: example_id, example_key, author, action, latest (its time).
STANDING = f"""
SELECT example_id, example_key, author, action, max(at) AS latest FROM label
WHERE action IN ('accept', 'reject', 'skip') AND {HOLDS} GROUP BY example_id, example_key, author
"""

# Examples about whose present content two people say different things. One who skipped it says nothing.
DIFFERING = f"""
SELECT standing.example_id FROM ({STANDING}) AS standing
JOIN example AS decided ON decided.id = standing.example_id AND decided.key = standing.example_key
WHERE standing.action != 'skip' GROUP BY standing.example_id HAVING count(DISTINCT standing.action) > 1
"""


def derive(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Work out decision, language, flag, edit, note and tags. Only labels given for the present content count."""
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
    """By time, for imported labels come into the table after newer ones; of two at one time the same everywhere."""
    return (
        f"(SELECT {what} FROM label WHERE example_id = example.id AND example_key = example.key "
        f"AND action IN ({actions}) AND {HOLDS} ORDER BY at DESC, batch DESC, id DESC LIMIT 1)"
    )


# Per tag, the latest word on it: SQLite takes the other columns from the row that has the maximum.
_TAGS = f"""
(SELECT json_group_array(tag) FROM (
    SELECT CAST(value AS TEXT) AS tag, action, max(at * 2 + (action = 'untag')) FROM label
    WHERE example_id = example.id AND example_key = example.key AND action IN ('tag', 'untag') AND {HOLDS}
    GROUP BY value ORDER BY tag
) WHERE action = 'tag')
"""

_DERIVE = f"""
UPDATE example SET
    decision = {_latest("action", "'accept','reject','skip'")},
    human_language = {_latest("CAST(value AS TEXT)", "'language'")},
    flagged = coalesce({_latest("action = 'flag'", "'flag','unflag'")}, 0),
    edit = {_latest("label.id", "'edit'")},
    note = nullif({_latest("CAST(value AS TEXT)", "'note'")}, ''),
    tags = {_TAGS}
WHERE id IN chosen
"""
