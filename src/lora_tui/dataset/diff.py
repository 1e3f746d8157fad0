"""What changed between two versions, row by row. The rows are compared in a database file that goes away afterwards."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Literal

import msgspec

from lora_tui.dataset.model import SPLITS, Dataset
from lora_tui.dataset.stored import rows
from lora_tui.workspace.errors import LoraTuiError

What = Literal["added", "removed", "changed", "moved"]

_lines = msgspec.json.Encoder()

_SETTINGS = ("seed", "split", "split_rule", "profile", "imported", "capture_hash")

# The same row in both versions, else the same example that became another row.
_PAIRS = """
CREATE TEMP TABLE pair AS
SELECT a.rowid AS a, b.rowid AS b FROM row AS a JOIN row AS b
ON b.version = 1 AND b.id = a.id AND b.copy = a.copy WHERE a.version = 0;
CREATE UNIQUE INDEX pair_a ON pair (a);
CREATE UNIQUE INDEX pair_b ON pair (b);
INSERT OR IGNORE INTO pair
SELECT a.rowid, b.rowid FROM row AS a JOIN row AS b
ON b.version = 1 AND b.key = a.key AND b.copy = a.copy AND a.key != ''
WHERE a.version = 0 AND a.rowid NOT IN (SELECT a FROM pair) AND b.rowid NOT IN (SELECT b FROM pair)
ORDER BY a.session != b.session, a.rowid, b.rowid;
"""

_CHANGES = """
SELECT CASE WHEN a.digest != b.digest THEN 'changed' ELSE 'moved' END AS what,
    b.id, b.key, b.language, a.split, b.split, a.id
FROM pair JOIN row AS a ON a.rowid = pair.a JOIN row AS b ON b.rowid = pair.b
WHERE a.digest != b.digest OR a.split != b.split
UNION ALL
SELECT 'added', id, key, language, '', split, '' FROM row
WHERE version = 1 AND rowid NOT IN (SELECT b FROM pair)
UNION ALL
SELECT 'removed', id, key, language, split, '', '' FROM row
WHERE version = 0 AND rowid NOT IN (SELECT a FROM pair)
"""


class Change(msgspec.Struct, frozen=True):
    """One row that is not the same in both; a changed row may have moved too."""

    what: What
    id: str
    key: str
    language: str
    split_before: str
    split: str
    id_before: str = ""  # of a changed or moved row


class Setting(msgspec.Struct, frozen=True):
    """Something that the two were asked for, or made with, and that differs."""

    name: str
    before: Any
    after: Any


class Compared(msgspec.Struct, frozen=True):
    """What two versions have in common and what not."""

    before: str
    after: str
    same: int  # rows that are in both, in the same split, with the same bytes
    added: int
    removed: int
    changed: int
    moved: int
    rows: dict[str, tuple[int, int]]  # per split, before and after
    languages: dict[str, tuple[int, int]]
    settings: tuple[Setting, ...]
    identical: bool  # the same files


@contextmanager
def compared(before: Dataset, after: Dataset) -> Iterator[tuple[Compared, Iterator[Change]]]:
    """The sums, and the rows that differ, which can be gone through inside. Memory: the same for any number of rows.

    Raises BadInput where a row cannot be read, LoraTuiError where the disk is full.
    """
    with closing(sqlite3.connect("")) as found, _on_a_full_disk():  # a file of SQLite's own, unlinked at once
        found.execute("PRAGMA journal_mode=OFF")
        found.execute("PRAGMA temp_store=FILE")
        found.execute("PRAGMA cache_size=-8000")
        found.execute("CREATE TABLE row (version, split, id, key, session, language, copy, digest)")
        for version, dataset in enumerate((before, after)):
            for split in SPLITS:
                found.executemany("INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _facts(version, dataset, split))
        found.execute("CREATE INDEX row_id ON row (version, id, copy)")
        found.execute("CREATE INDEX row_key ON row (version, key, copy)")
        found.executescript(_PAIRS)
        by_kind: dict[str, int] = dict(
            found.execute(f"SELECT what, count(*) FROM ({_CHANGES}) GROUP BY what").fetchall()
        )
        pairs = found.execute("SELECT count(*) FROM pair").fetchone()[0]
        sums = Compared(
            before=before.label,
            after=after.label,
            same=pairs - by_kind.get("changed", 0) - by_kind.get("moved", 0),
            added=by_kind.get("added", 0),
            removed=by_kind.get("removed", 0),
            changed=by_kind.get("changed", 0),
            moved=by_kind.get("moved", 0),
            rows={name: (before.manifest.rows.get(name, 0), after.manifest.rows.get(name, 0)) for name in SPLITS},
            languages=_both(before.manifest.by_language, after.manifest.by_language),
            settings=tuple(_settings(before, after)),
            identical=before.manifest.hash == after.manifest.hash,
        )
        yield sums, (Change(*row) for row in found.execute(f"SELECT * FROM ({_CHANGES}) ORDER BY 1, 6, 5, 2"))


@contextmanager
def _on_a_full_disk() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LoraTuiError(f"the rows cannot be compared: {error}", fix="Free some space and try again.") from error


def _facts(version: int, dataset: Dataset, split: str) -> Iterator[tuple[object, ...]]:
    for row in rows(dataset, split):
        digest = hashlib.blake2b(_lines.encode(row), digest_size=16).digest()
        yield version, split, row.id, row.key, row.session, row.language, row.copy, digest


def _settings(before: Dataset, after: Dataset) -> Iterator[Setting]:
    one, other = (_asked(item) for item in (before, after))
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            yield Setting(name, one.get(name), other.get(name))


def _asked(dataset: Dataset) -> dict[str, Any]:
    manifest: dict[str, Any] = msgspec.to_builtins(dataset.manifest)
    return {
        **manifest["recipe"],
        **{name: manifest[name] for name in _SETTINGS},
        **{f"rules of {name}": version for name, version in manifest["tables"].items()},
        **{f"suite {name}": prompts for name, prompts in manifest["suites"].items()},
    }


def _both(before: dict[str, int], after: dict[str, int]) -> dict[str, tuple[int, int]]:
    return {name: (before.get(name, 0), after.get(name, 0)) for name in sorted(before.keys() | after.keys())}
