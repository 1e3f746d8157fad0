"""Taking exported examples back: differences become labels and edits, what is unknown becomes a chat session.

All labels of one import are one batch: one undo takes them back. Sessions that came in stay.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import msgspec

from lora_tui.curation import labels
from lora_tui.curation.exchange import Imported
from lora_tui.curation.reading import example
from lora_tui.curation.redact import redacted
from lora_tui.curation.refresh import refresh
from lora_tui.sources.chat.conversation import NotAChat
from lora_tui.sources.chat.rows import Row, rows
from lora_tui.sources.chat.source import conversation_of, dated, session_of
from lora_tui.sources.model import About, Message, Session
from lora_tui.sources.spool import Spool
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_NO_LANGUAGE = ("none", "mixed", "")  # what the machine says when it cannot tell; nobody's decision


class Wrong(msgspec.Struct, frozen=True):
    """A row that was left out, as a whole or in part."""

    number: int  # line of a JSONL file, else row, from 1
    reason: str


class TakenIn(msgspec.Struct, frozen=True):
    """What an import did, or would do."""

    rows: int
    unchanged: int
    sessions: int  # new chat sessions
    changed: dict[str, int]  # action -> labels: edit, accept, reject, skip, language, tag, untag, note
    wrong: list[Wrong]
    batch: str  # of the labels; '' when there are none


_Decided = tuple[int, str, bytes | None]  # example, action, value


def take_in(
    workspace: Workspace, path: Path, *, author: str, languages: Collection[str], dry_run: bool = False
) -> TakenIn:
    """Import a file that `exported` rows were written to. Raises SourceError, LoraTuiError for the whole file.

    languages: which ones a row may name.
    """
    wrong: list[Wrong] = []
    decided: list[_Decided] = []
    new: dict[str, tuple[int, Imported]] = {}  # native id of a chat session -> its row, without the messages
    total = unchanged = 0
    workspace.ensure()
    now = time.time_ns() // 1_000_000
    with closing(Spool(workspace.root)) as spool:
        for row in rows(path):
            total += 1
            try:
                given = _given(row, languages)
                session = _new_session(workspace, row, given, path, now)
                if session is None:
                    differences = list(_differences(workspace, _known(workspace, row, given, path, now), given))
                    decided += differences
                    unchanged += not differences
                else:
                    spool.add(session, dated(conversation_of(row), session))
                    new[session.native_id] = (row.number, msgspec.structs.replace(given, messages=[]))
            except NotAChat as error:
                wrong.append(Wrong(row.number, str(error)))
            except BadInput as error:
                wrong.append(Wrong(row.number, error.what))
        if new and not dry_run:
            spool.store(workspace)
            refresh(workspace)
    for native_id, (number, given) in new.items():
        if dry_run:
            decided += _foreseen(given)
        elif len(made := _chat_examples(workspace, native_id)) == 1:
            decided += _differences(workspace, made[0], given)
        elif given.decision or given.tags or given.note:
            wrong.append(Wrong(number, f"taken in without its labels: it became {len(made)} examples"))
    batch = "" if dry_run else _decide(workspace, decided, author)
    changed: dict[str, int] = {}
    for _, action, _ in decided:
        changed[action] = changed.get(action, 0) + 1
    return TakenIn(total, unchanged, len(new), changed, wrong, batch)


def _decide(workspace: Workspace, decided: list[_Decided], author: str) -> str:
    """Write the labels of all rows as one decision; returns its batch, '' when there is nothing to decide."""
    if not decided:
        return ""
    batch = labels.new_batch()
    with workspace.transaction() as connection:
        for identity, rows_of_it in groupby(decided, key=itemgetter(0)):
            said = [(action, value) for _, action, value in rows_of_it]
            labels.append(connection, [identity], said, batch, author=author, reason="import")
    return batch


def _given(row: Row, languages: Collection[str]) -> Imported:
    """The row, checked. Raises NotAChat, BadInput."""
    if row.problem:
        raise NotAChat(row.problem)
    try:
        given = msgspec.json.decode(row.data, type=Imported)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise NotAChat(f"not a row of `examples export`: {error}") from None
    if not any(message.role == "assistant" for message in given.messages):
        raise NotAChat("an example needs at least one assistant message")
    if given.language not in (None, *_NO_LANGUAGE, *languages):
        raise NotAChat(f"unknown language {given.language!r}")
    for tag in given.tags or ():
        labels.encoded("tag", tag)
    return given


def _new_session(workspace: Workspace, row: Row, given: Imported, path: Path, now: int) -> Session | None:
    """The session that the row is to become; None for an example that is here. Raises NotAChat."""
    if _by_key(workspace, given.key) is not None:
        return None
    moved = workspace.connection().execute(_BY_PLACE, (given.source, given.session, given.native_id)).fetchone()
    if moved is not None:
        raise NotAChat(f"example {moved[0]} has changed since it was exported; export it again")
    session = session_of(conversation_of(row), str(path.absolute()), now)
    here = workspace.connection().execute(_HERE, (session.native_id,)).fetchone()
    return None if here else session


def _known(workspace: Workspace, row: Row, given: Imported, path: Path, now: int) -> int | None:
    """The example that the row is about: by its content, or the one that an earlier import made of it."""
    found = _by_key(workspace, given.key)
    if found is not None:
        return found
    session = session_of(conversation_of(row), str(path), now)
    made = _chat_examples(workspace, session.native_id)
    return made[0] if len(made) == 1 else None


def _foreseen(given: Imported) -> list[_Decided]:
    """The decisions of a row that would become a session, about no example yet."""
    said = [given.decision, *("tag" for _ in set(given.tags or ())), "note" if given.note else None]
    return [(0, action, None) for action in said if action]


def _differences(workspace: Workspace, identity: int | None, given: Imported) -> Iterator[_Decided]:
    """What the row says that the example does not. Raises NotAChat, BadInput when that cannot be said here."""
    if identity is None:
        return
    here = example(workspace, identity)
    if given.messages:
        safe = redacted([message.message() for message in given.messages])  # what comes in may hold new secrets
        if safe.blocked:
            raise NotAChat(safe.blocked)
        messages = list(safe.messages)
        if messages != [_bare(message) for message in here.messages]:
            yield identity, "edit", msgspec.json.encode(_with_about(messages, here.messages))
    said: list[tuple[str, str | None]] = []
    if given.decision and given.decision != here.row.decision:
        said.append((given.decision, None))
    if given.language not in (None, *_NO_LANGUAGE, here.row.language):
        said.append(("language", given.language))
    if given.tags is not None:
        before, after = set(here.row.tags), set(given.tags)
        said += [("tag", tag) for tag in sorted(after - before)] + [("untag", tag) for tag in sorted(before - after)]
    if given.note is not None and given.note != here.row.note:
        said.append(("note", given.note))
    yield from ((identity, action, labels.encoded(action, value)) for action, value in said)


def _bare(message: Message) -> Message:
    return msgspec.structs.replace(message, about=About(weight=message.about.weight))


def _with_about(messages: list[Message], originals: list[Message]) -> list[Message]:
    """The edited messages with what is known of those they come from: the same ones, and the same roles in place."""
    old = [msgspec.json.encode(_bare(message)) for message in originals]
    new = [msgspec.json.encode(message) for message in messages]
    found = list(messages)
    for kind, first, last, start, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            found[start:end] = originals[first:last]
        elif kind == "replace" and last - first == end - start:
            for before, place in zip(originals[first:last], range(start, end), strict=True):
                if before.role == messages[place].role:
                    found[place] = _changed(messages[place], before)
    return found


def _changed(message: Message, before: Message) -> Message:
    about = msgspec.structs.replace(before.about, weight=message.about.weight)
    if message.content != before.content:  # they count content parts that may be others now
        about = msgspec.structs.replace(about, synthetic=())
    return msgspec.structs.replace(message, about=about)


def _by_key(workspace: Workspace, key: str) -> int | None:
    found = workspace.connection().execute(_BY_KEY, (key,)).fetchone()
    return int(found[0]) if found else None


def _chat_examples(workspace: Workspace, native_id: str) -> list[int]:
    found = workspace.connection().execute(_OF_CHAT, (native_id,))
    return [int(row[0]) for row in found]


# A content that is there twice is dropped once as a duplicate: its labels belong to the other one.
_BY_KEY = "SELECT id FROM example WHERE key = ? ORDER BY dropped IS NOT NULL, id LIMIT 1"

_BY_PLACE = """
SELECT example.id FROM example JOIN session ON session.id = example.session_id
WHERE session.source = ? AND session.native_id = ? AND example.native_id = ?
"""

_OF_CHAT = """
SELECT example.id FROM example JOIN session ON session.id = example.session_id
WHERE session.source = 'chat' AND session.native_id = ? AND example.dropped IS NULL
"""

_HERE = "SELECT 1 FROM session WHERE source = 'chat' AND native_id = ?"
