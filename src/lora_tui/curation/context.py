"""What an agent had already seen when a request came: the earlier requests of its session, as context."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from lora_tui.curation.actions import actions
from lora_tui.curation.refresh import stored_messages
from lora_tui.curation.segment import belongs
from lora_tui.curation.trim import trimmed
from lora_tui.sources.model import About, Message, text_of
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_FILES = 20  # named at most


def context(workspace: Workspace, example_id: int, room: int, cap: int = 2_000) -> list[Message]:
    """The messages of earlier requests that fit before an example, oldest first, each marked `about.context`.

    Whole requests only, the newest first, as long as all of them together take at most `room` characters with outputs
    of at most `cap` characters; none from before a compaction, which the model no longer saw. Where not all fit, one
    line in front names the files changed so far. The messages are as stored: not trimmed and not redacted.
    Raises BadInput when there is no such example.
    """
    connection = workspace.connection()
    found = connection.execute("SELECT session_id, first_seq FROM example WHERE id = ?", (example_id,)).fetchone()
    if found is None:
        raise BadInput(f"there is no example {example_id}", fix="See `lora-tui examples list`.")
    session, first = found
    earlier = connection.execute(_EARLIER, (session, first)).fetchall()
    if not earlier or room <= 0:
        return []
    chosen: list[list[Message]] = []
    following = first
    for begin, end, dropped in earlier:
        up_to_next = list(stored_messages(connection, session, begin, following - 1))
        if dropped == "private key" or any(message.about.origin == "compaction" for message in up_to_next):
            break
        following = begin
        messages = [one for one in up_to_next[: end - begin + 1] if belongs(one)]
        size = _size(trimmed(messages, cap))
        if size > room:
            break
        room -= size
        chosen.append(messages)
    told = [] if len(chosen) == len(earlier) else _told(connection, session, first)
    return [_as_context(message) for message in (*told, *(one for part in reversed(chosen) for one in part))]


def _told(connection: sqlite3.Connection, session: int, before: int) -> list[Message]:
    """One line in the user's place: which files the session has changed so far."""
    changed = _changed(message for message in stored_messages(connection, session, 0, before - 1) if belongs(message))
    if not changed:
        return []
    shown = changed[-_FILES:]
    more = f" and {len(changed) - _FILES} more" if len(changed) > _FILES else ""
    line = f"[Changed so far in this session: {', '.join(shown)}{more}]"
    return [Message(role="user", content=line, about=About(synthetic=(0,)))]


def _changed(messages: Iterable[Message]) -> list[str]:
    """Paths of the files that were changed, each once, the latest change last."""
    paths: dict[str, None] = {}
    for message in messages:
        named = [*(message.about.diffs if message.role == "assistant" else ())]
        for done in actions(message):
            if done.edits:
                named += [*done.paths, *(written.path for written in done.written)]
        for path in named:
            if path:
                paths.pop(path, None)
                paths[path] = None
    return list(paths)


def _size(messages: Iterable[Message]) -> int:
    return sum(
        len(text_of(message))
        + len(message.reasoning_content)
        + sum(len(call.function.arguments) for call in message.tool_calls)
        for message in messages
    )


def _as_context(message: Message) -> Message:
    return msgspec.structs.replace(message, about=msgspec.structs.replace(message.about, context=True))


_EARLIER = """
SELECT first_seq, last_seq, dropped FROM example
WHERE session_id = ? AND last_seq < ? AND coalesce(dropped, '') != 'withdrawn'
ORDER BY first_seq DESC
"""
