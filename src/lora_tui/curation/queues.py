"""Frozen queues: the examples to decide about, in an order that deciding does not change.

A filter applied anew after each decision would let rows vanish and counts drift under the person who labels. A queue
keeps its list; what a decision made elsewhere, or a new ingest, did to it is told ("12 left the filter").
"""

from __future__ import annotations

import random
import re
import sqlite3
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from lora_tui.curation import examples
from lora_tui.curation.decisions import HOLDS
from lora_tui.curation.filters import EVERYTHING, Filter
from lora_tui.curation.labels import DECIDES, Action, append, encoded, new_batch
from lora_tui.curation.orders import Order
from lora_tui.curation.redact import redact_text
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

REPEATS = 0.05  # questions asked again, to measure how consistent one is
OVERLAP = "overlap"  # as Queue.order: what another person decided about, for a second opinion
PROPOSED = "proposed"  # as Queue.order: what was found to be worth a look, the most promising first
_UNDISTURBED = 10  # positions at the start without a repeated question
_NAME = re.compile(r"[\w][\w.:+-]{0,63}")


class Queue(msgspec.Struct, frozen=True):
    """A queue and how far it is. `left` = `total` - `done` - `gone`."""

    id: int
    name: str
    author: str
    filter: Filter
    order: str
    created: int  # epoch milliseconds
    total: int
    done: int
    repeated: int  # questions asked a second time
    gone: int = 0  # open ones about what is no candidate any more: they are not asked

    @property
    def left(self) -> int:
        """Questions still open."""
        return self.total - self.done - self.gone

    @property
    def hides_decisions(self) -> bool:
        """Whether the person must not see what was decided about any of these before."""
        return self.order == OVERLAP


class Item(msgspec.Struct, frozen=True):
    """One question of a queue. `hidden`: an earlier decision must not be shown; `gone`: it is not asked any more.

    reason: why it was proposed; '' where a filter found it.
    """

    position: int
    example_id: int
    again: bool
    done: bool
    hidden: bool
    gone: bool = False
    reason: str = ""


def create(
    workspace: Workspace,
    name: str,
    filter: Filter = EVERYTHING,
    order: Order = "recent",
    *,
    author: str,
    repeats: float = REPEATS,
    limit: int = 0,
) -> Queue:
    """Freeze what passes the filter now, with some of this author's earlier decisions mixed in to be asked again.

    `repeats` is their share of the whole (0: none); `limit` keeps the first ones only (0: all). Raises BadInput when
    the name is taken or cannot be one, or when nothing passes.
    """
    found = examples.ids(workspace, filter, order, seed=name)
    chosen = found[:limit] if limit else found
    if not chosen:
        raise BadInput("no example passes this filter", where=f"queue {name}")
    again = _decided_before(workspace, filter, author, chosen, seed=name)[: round(len(chosen) * repeats)]
    return _freeze(workspace, name, author, filter, order, list(_mixed(chosen, again, name)))


def create_overlap(
    workspace: Workspace, name: str, first: str, *, author: str, filter: Filter = EVERYTHING, number: int = 50
) -> Queue:
    """A queue for a second opinion: `number` examples that `first` decided about and `author` did not, at random.

    Raises BadInput when there is none, or when the two are one.
    """
    if first == author:
        raise BadInput("a second opinion comes from a second person", fix="Name yourself with --by.")
    theirs = _standing(workspace, first) - _standing(workspace, author)
    found = [identity for identity in examples.ids(workspace, filter, "random", seed=name) if identity in theirs]
    if not found:
        raise BadInput(f"{first} has decided about nothing that {author} has not", where=f"queue {name}")
    return _freeze(workspace, name, author, filter, OVERLAP, [(identity, False) for identity in found[:number]])


def create_proposed(
    workspace: Workspace, name: str, proposed: Mapping[int, str], *, author: str, filter: Filter = EVERYTHING
) -> Queue:
    """A queue of these examples in this order, each with the reason to look at it. They are decided about by a person.

    `filter` is what they were taken from. Raises BadInput when the name is taken or cannot be one, or for no examples.
    """
    if not proposed:
        raise BadInput("there is nothing to propose", where=f"queue {name}")
    asked = [(identity, False) for identity in proposed]
    return _freeze(workspace, name, author, filter, PROPOSED, asked, proposed)


def open(workspace: Workspace, name: str, author: str) -> Queue:
    """The author's queue of this name. Raises BadInput when there is none."""
    for queue in listed(workspace, author):
        if queue.name == name:
            return queue
    known = ", ".join(queue.name for queue in listed(workspace, author)) or "none yet"
    raise BadInput(f"{author} has no queue {name!r}", fix=f"Known: {known}. `lora-tui queue create {name}` makes one.")


def listed(workspace: Workspace, author: str = "") -> list[Queue]:
    """Every queue, of one author or of all, the newest first."""
    found = workspace.connection().execute(_LIST, (author, author)).fetchall()
    return [
        Queue(identity, name, by, _filter(condition), order, created, total, done, repeated, gone)
        for identity, name, by, condition, order, created, total, done, repeated, gone in found
    ]


def remove(workspace: Workspace, name: str, author: str) -> Queue:
    """Forget a queue; the decisions made in it stay. Raises BadInput when there is none."""
    queue = open(workspace, name, author)
    with workspace.transaction() as connection:
        connection.execute("DELETE FROM queue WHERE id = ?", (queue.id,))
    return queue


def items(workspace: Workspace, queue: Queue, start: int = 0, count: int | None = None) -> list[Item]:
    """The questions from position `start` on."""
    found = workspace.connection().execute(
        "SELECT position, example_id, again, batch IS NOT NULL, example.id IS NULL OR dropped IS NOT NULL, reason "
        "FROM queue_item LEFT JOIN example ON example.id = example_id "
        "WHERE queue_id = ? AND position >= ? ORDER BY position LIMIT ?",
        (queue.id, start, -1 if count is None else count),
    )
    return [
        Item(position, identity, bool(again), bool(done), bool(again) or queue.hides_decisions, bool(gone), reason)
        for position, identity, again, done, gone, reason in found
    ]


def ids(workspace: Workspace, queue: Queue) -> array[int]:
    """The example of each position; one that is asked again stands in it twice or elsewhere."""
    found = workspace.connection().execute(
        "SELECT example_id FROM queue_item WHERE queue_id = ? ORDER BY position", (queue.id,)
    )
    return array("q", (row[0] for row in found))


def next_position(workspace: Workspace, queue: Queue, after: int = -1) -> int | None:
    """The first open question behind `after`, else the first of all; None when nothing is left.

    What is no candidate any more (its session was undone at the source, say) is not asked.
    """
    connection = workspace.connection()
    for first, last in ((after + 1, 1 << 60), (0, after)):
        found = connection.execute(_NEXT, (queue.id, first, last)).fetchone()
        if found is not None:
            return int(found[0])
    return None


def decide(
    workspace: Workspace,
    queue: Queue,
    position: int,
    action: Action,
    value: str | None = None,
    *,
    seconds: float | None = None,
    reason: str = "",
    language: str | None = None,
) -> str:
    """Answer one question of a queue as its author; returns the batch for undo.

    Accept, reject and skip close the question, in the same transaction; the other actions say something beside it.
    `labels.undo` opens it again and names its position. Raises BadInput.
    """
    said = [(action, value)] + ([("language", language)] if language is not None else [])
    return decide_together(workspace, queue, position, said, seconds=seconds, reason=reason)


def decide_together(
    workspace: Workspace,
    queue: Queue,
    position: int,
    said: Sequence[tuple[str, str | None]],
    *,
    seconds: float | None = None,
    reason: str = "",
) -> str:
    """`decide` with several actions and their values as one decision."""
    decided = [(action, encoded(action, value)) for action, value in said]
    batch = new_batch()
    with workspace.transaction() as connection:
        asked = connection.execute(
            "SELECT example_id, again FROM queue_item WHERE queue_id = ? AND position = ?", (queue.id, position)
        ).fetchone()
        if asked is None:
            raise BadInput(f"queue {queue.name!r} has no position {position}", fix="Was it removed meanwhile?")
        identity, again = asked[0], bool(asked[1])
        by = queue.author
        append(connection, [identity], decided, batch, author=by, seconds=seconds, reason=reason, again=again)
        if any(action in DECIDES for action, _ in decided):
            _close(connection, queue, position, identity, again, batch)
    return batch


def left_filter(workspace: Workspace, queue: Queue) -> int:
    """How many open questions are about candidates that no longer pass the queue's filter. One query per call."""
    passing = set(examples.ids(workspace, queue.filter))
    found = workspace.connection().execute(
        "SELECT example_id FROM queue_item JOIN example ON example.id = example_id "
        "WHERE queue_id = ? AND batch IS NULL AND NOT again AND dropped IS NULL",
        (queue.id,),
    )
    return sum(identity not in passing for (identity,) in found)


def _close(connection: sqlite3.Connection, queue: Queue, position: int, identity: int, again: bool, batch: str) -> None:
    connection.execute(
        "UPDATE queue_item SET batch = ? WHERE queue_id = ? AND position = ?", (batch, queue.id, position)
    )
    if not again:  # the author's other queues need not ask it
        connection.execute(
            "UPDATE queue_item SET batch = ? WHERE example_id = ? AND batch IS NULL AND NOT again "
            "AND queue_id IN (SELECT id FROM queue WHERE author = ?)",
            (batch, identity, queue.author),
        )


def _freeze(
    workspace: Workspace,
    name: str,
    author: str,
    filter: Filter,
    order: str,
    asked: Sequence[tuple[int, bool]],
    reasons: Mapping[int, str] = {},
) -> Queue:
    if redact_text(name)[1]:
        raise BadInput("a queue's name must not hold a secret or personal data", fix="Choose another name.")
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot be a queue's name", fix="One word of letters, digits and . : + - _")
    now = time.time_ns() // 1_000_000
    with workspace.transaction() as connection:
        if connection.execute("SELECT 1 FROM queue WHERE name = ? AND author = ?", (name, author)).fetchone():
            raise BadInput(f"{author} has a queue {name!r} already", fix=f"`lora-tui queue remove {name}` forgets it.")
        identity = connection.execute(
            "INSERT INTO queue (name, author, filter, order_by, created) VALUES (?, ?, ?, ?, ?)",
            (name, author, msgspec.json.encode(filter), order, now),
        ).lastrowid
        connection.executemany(
            "INSERT INTO queue_item (queue_id, position, example_id, again, reason) VALUES (?, ?, ?, ?, ?)",
            (
                (identity, position, example, again, reasons.get(example, ""))
                for position, (example, again) in enumerate(asked)
            ),
        )
    assert identity is not None
    repeated = sum(again for _, again in asked)
    return Queue(identity, name, author, filter, order, now, len(asked), 0, repeated)


def _decided_before(workspace: Workspace, filter: Filter, author: str, without: Sequence[int], seed: str) -> list[int]:
    """Of what this author accepted or rejected, what the filter is about, at random. Not what the queue asks anyway."""
    theirs = _standing(workspace, author) - set(without)
    if not theirs:
        return []
    about = msgspec.structs.replace(filter, decision="any", dropped="")
    return [identity for identity in examples.ids(workspace, about, "random", seed=seed) if identity in theirs]


def _standing(workspace: Workspace, author: str) -> set[int]:
    """Examples whose present content this author accepted or rejected."""
    return {row[0] for row in workspace.connection().execute(_THEIRS, (author,))}


def _mixed(fresh: Sequence[int], again: Sequence[int], seed: str) -> Iterator[tuple[int, bool]]:
    """The fresh ones in order, the repeated ones anywhere between them but at the start."""
    places = range(min(_UNDISTURBED, len(fresh)), len(fresh) + 1)
    draw = random.Random(f"{seed} again")
    due = sorted(zip((draw.choice(places) for _ in again), again, strict=True))
    taken = 0
    for place in range(len(fresh) + 1):
        while taken < len(due) and due[taken][0] == place:
            yield due[taken][1], True
            taken += 1
        if place < len(fresh):
            yield fresh[place], False


def _filter(condition: bytes) -> Filter:
    try:
        return msgspec.json.decode(condition, type=Filter)
    except msgspec.ValidationError:  # written by another version: the frozen list is what counts
        return EVERYTHING


_LIST = """
SELECT queue.id, queue.name, queue.author, queue.filter, order_by, queue.created,
    count(queue_item.queue_id), count(batch), coalesce(sum(queue_item.again), 0),
    count(queue_item.queue_id) FILTER (WHERE batch IS NULL AND (example.id IS NULL OR example.dropped IS NOT NULL))
FROM queue LEFT JOIN queue_item ON queue_item.queue_id = queue.id LEFT JOIN example ON example.id = example_id
WHERE author = ? OR ? = '' GROUP BY queue.id ORDER BY queue.created DESC, queue.id DESC
"""

_NEXT = """
SELECT position FROM queue_item JOIN example ON example.id = example_id
WHERE queue_id = ? AND position BETWEEN ? AND ? AND batch IS NULL AND dropped IS NULL ORDER BY position LIMIT 1
"""

_THEIRS = f"""
SELECT DISTINCT example_id FROM label WHERE author = ? AND action IN ('accept', 'reject') AND {HOLDS}
AND example_key = (SELECT key FROM example WHERE example.id = label.example_id)
"""
