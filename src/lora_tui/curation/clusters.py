"""Clusters of near-duplicate examples: kept up to date beside them, and which member of each a dataset would keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from lora_tui.curation.filters import ORIGINS
from lora_tui.curation.near_duplicates import VERSION, Groups, Remembered, Shingles, jaccard, link, shingles, signatures
from lora_tui.curation.segment import belongs
from lora_tui.curation.tool_names import canonical, kind, read_arguments
from lora_tui.sources.model import Message, ToolCall, own_words, text_of
from lora_tui.workspace.layout import Workspace

_BATCH = 5_000  # examples per transaction
_CHARACTERS = 100_000  # of one example's text
_WRITES = ("newString", "content", "patchText")

_decoder = msgspec.json.Decoder(Message)


class _Ranked(msgspec.Struct, frozen=True):
    id: int
    request: str
    source: str
    language: str
    decision: str | None
    characters: int
    created: int  # epoch milliseconds


class Member(_Ranked, frozen=True):
    """One example of a cluster. A dataset takes the one it `keeps`; `similarity` is the Jaccard index with that one."""

    keeps: bool
    similarity: float


class Cluster(msgspec.Struct, frozen=True):
    """Near-duplicates of each other, or of one between them; the one to keep comes first."""

    id: int
    members: list[Member]


def recluster(workspace: Workspace, progress: Callable[[int, int], None] | None = None) -> int:
    """Compare every example whose content is new with all others; returns how many were new.

    Works in batches with a short transaction each; killed half-way, the next call goes on. What a cluster loses (an
    example dropped, or changed) makes its other members be compared anew, so the result is that of a full comparison.
    """
    connection = workspace.connection()
    done = 0
    while True:
        due = dict(connection.execute(_DUE, (VERSION, _BATCH)).fetchall())
        gone = [row[0] for row in connection.execute(_GONE)]
        if not due and not gone:
            return done
        _batch(workspace, due, gone)
        done += len(due)
        if progress is not None:
            progress(done, done if len(due) < _BATCH else 0)


def text_of_example(messages: Sequence[Message]) -> str:
    """The request and what the assistant wrote: answers, edits and files; no reads, no outputs."""
    parts: list[str] = []
    for message in messages:
        if message.role == "user":
            parts.append(own_words(message))
        elif message.role == "assistant":
            parts.append(text_of(message))
            parts += [written for call in message.tool_calls if (written := _written(call))]
    return "\n".join(parts)[:_CHARACTERS]


def keep_order(row: _Ranked) -> tuple[bool, bool, int, int, int]:
    """Of near-duplicates the first in this order stays: not synthetic, accepted, longer, newer."""
    return ORIGINS.get(row.source) == "synthetic", row.decision != "accept", -row.characters, -row.created, row.id


class Counted(msgspec.Struct, frozen=True):
    """How many clusters there are; of their examples, `surplus` ones repeat another."""

    clusters: int
    examples: int

    @property
    def surplus(self) -> int:
        """What a dataset leaves out when all are accepted."""
        return self.examples - self.clusters


def count(workspace: Workspace) -> Counted:
    """Count the clusters."""
    found = workspace.connection().execute(
        "SELECT count(DISTINCT cluster), count(*) FROM example WHERE cluster IS NOT NULL AND dropped IS NULL"
    )
    return Counted(*found.fetchone())


def report(workspace: Workspace, limit: int | None = None) -> list[Cluster]:
    """The clusters, the largest first; `limit` of them."""
    found: dict[int, list[_Ranked]] = {}
    for cluster, *rest in workspace.connection().execute(_MEMBERS, (0, 0)):
        found.setdefault(cluster, []).append(_Ranked(*rest))
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [_cluster(workspace, identity, ranked) for identity, ranked in ordered[:limit]]


def near(workspace: Workspace, identity: int) -> Cluster | None:
    """The cluster this example is in; None when it is alone."""
    rows = workspace.connection().execute(_MEMBERS, (identity, identity)).fetchall()
    return _cluster(workspace, rows[0][0], [_Ranked(*rest) for _, *rest in rows]) if rows else None


def _cluster(workspace: Workspace, identity: int, ranked: list[_Ranked]) -> Cluster:
    ranked.sort(key=keep_order)
    kept = _shingles(workspace, ranked[0].id)
    members = []
    for place, row in enumerate(ranked):
        similarity = 1.0 if place == 0 else jaccard(kept, _shingles(workspace, row.id))
        members.append(Member(**msgspec.structs.asdict(row), keeps=place == 0, similarity=round(similarity, 3)))
    return Cluster(identity, members)


def _batch(workspace: Workspace, due: dict[int, str], gone: Sequence[int]) -> None:
    connection = workspace.connection()
    clusters: dict[int, int] = dict(connection.execute(_CLUSTERED).fetchall())
    touched = {clusters[identity] for identity in (*due, *gone) if identity in clusters}
    reopened = {identity for identity, cluster in clusters.items() if cluster in touched} - set(gone)
    compared = reopened | set(due)

    read = Remembered(lambda identity: _shingles(workspace, identity))

    def texts() -> Iterator[Shingles]:
        for identity in due:
            found = _shingles(workspace, identity)
            read.keep(identity, found)
            yield found

    fresh = dict(zip(due, signatures(texts()), strict=True))
    for identity in reopened - set(due):
        stored = connection.execute(_SIGNATURE, (identity,)).fetchone()
        fresh[identity] = stored[0] if stored else b""
    groups = Groups()
    for identity, cluster in clusters.items():
        if cluster not in touched:
            groups.join(identity, cluster)
    link(groups, fresh, _others(workspace, compared | set(gone)), read)
    now = _named(groups, set(clusters) - set(gone) | groups.members() | compared)
    with workspace.transaction() as connection:
        for identity, key in due.items():
            if connection.execute(_STORED, (identity, f"{VERSION}{key}")).fetchone():
                return  # another process was faster: what it did is the state to go on from
        connection.executemany("DELETE FROM example_signature WHERE example_id = ?", ((one,) for one in gone))
        connection.executemany("UPDATE example SET cluster = NULL WHERE id = ?", ((one,) for one in gone))
        connection.executemany(
            "INSERT OR REPLACE INTO example_signature SELECT id, ?, ? FROM example WHERE id = ? AND key = ?",
            ((f"{VERSION}{key}", fresh[identity], identity, key) for identity, key in due.items()),
        )
        connection.executemany(
            "UPDATE example SET cluster = ? WHERE id = ?",
            ((cluster, identity) for identity, cluster in now.items() if clusters.get(identity) != cluster),
        )


def _named(groups: Groups, identities: set[int]) -> dict[int, int | None]:
    """Each one's cluster: its group's name; None for who is alone."""
    of = {identity: groups.of(identity) for identity in identities}
    shared = {group for identity, group in of.items() if identity != group}
    return {identity: group if group in shared else None for identity, group in of.items()}


def _others(workspace: Workspace, without: set[int]) -> Iterator[tuple[int, bytes]]:
    for identity, signature in workspace.connection().execute("SELECT example_id, signature FROM example_signature"):
        if identity not in without:
            yield identity, signature


def stored_messages_of(workspace: Workspace, identity: int) -> list[Message]:
    """An example's messages as they are stored, for comparing: nothing of them may be shown."""
    bodies = workspace.connection().execute(_BODIES, (identity,))
    return [message for (body,) in bodies if belongs(message := _decoder.decode(body))]


def _shingles(workspace: Workspace, identity: int) -> Shingles:
    return shingles(text_of_example(stored_messages_of(workspace, identity)))


def _written(call: ToolCall) -> str:
    """What an editing call writes; a call the table of tools cannot read counts as it is."""
    if kind(call.function.name) != "edit":
        known = canonical(call)  # a patch sent through the shell
        if known is None or known.function.name != "apply_patch":
            return ""
        return _texts(known)
    return _texts(canonical(call) or call) or call.function.arguments


def _texts(call: ToolCall) -> str:
    arguments = read_arguments(call) or {}
    return "\n".join(value for name in _WRITES if isinstance(value := arguments.get(name), str))


_DUE = """
SELECT example.id, example.key FROM example LEFT JOIN example_signature ON example_id = example.id
WHERE dropped IS NULL AND example_signature.key IS NOT ? || example.key ORDER BY example.id LIMIT ?
"""

_GONE = """
SELECT example_id FROM example_signature JOIN example ON example.id = example_id WHERE dropped IS NOT NULL
UNION SELECT id FROM example WHERE cluster IS NOT NULL AND dropped IS NOT NULL
"""

_CLUSTERED = "SELECT id, cluster FROM example WHERE cluster IS NOT NULL"
_SIGNATURE = "SELECT signature FROM example_signature WHERE example_id = ?"
_STORED = "SELECT 1 FROM example_signature WHERE example_id = ? AND key = ?"

_BODIES = """
SELECT body FROM message JOIN example ON message.session_id = example.session_id
WHERE example.id = ? AND seq BETWEEN first_seq AND last_seq ORDER BY seq
"""

_MEMBERS = """
SELECT cluster, example.id, request, source, coalesce(human_language, language), decision, characters, example.created
FROM example JOIN session ON session.id = session_id
WHERE cluster IS NOT NULL AND dropped IS NULL
  AND (? = 0 OR cluster = (SELECT cluster FROM example WHERE id = ?))
ORDER BY cluster, example.id
"""
