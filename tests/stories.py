"""Sessions as tests tell them: a few words for a conversation, stored as an ingest would store it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from lora_tui.sources.model import About, Function, Message, ToolCall
from lora_tui.workspace.layout import Workspace


def user(text: str, **about: object) -> Message:
    """A request."""
    return Message(role="user", content=text, about=msgspec.convert(about, About))


def says(text: str, **about: object) -> Message:
    """An assistant message without tools."""
    return Message(role="assistant", content=text, about=msgspec.convert({"model": "lab/model", **about}, About))


def calls(tool: str, arguments: dict[str, object], output: str, *, call_id: str = "call_1") -> list[Message]:
    """An assistant message with one tool call, and its output."""
    call = ToolCall(id=call_id, function=Function(name=tool, arguments=json.dumps(arguments)))
    return [
        Message(role="assistant", tool_calls=[call], about=About(model="lab/model")),
        Message(role="tool", content=output, tool_call_id=call_id),
    ]


def store_session(
    workspace: Workspace,
    native_id: str,
    messages: Sequence[Message],
    *,
    parent: str | None = None,
    fingerprint: str = "1",
    title: str = "",
    created: int = 1_790_000_000_000,
    source: str = "opencode",
    licence: str = "",
) -> None:
    """Put a conversation where an ingest puts it; again with another fingerprint: the session changed."""
    with workspace.transaction() as connection:
        connection.execute(
            "INSERT INTO session (native_id, parent, title, directory, created, updated, origin, fingerprint,"
            " messages, source, licence) VALUES (?, ?, ?, '/home/dev/app', ?, ?, 'test.db', ?, ?, ?, ?) "
            "ON CONFLICT (source, native_id) DO UPDATE SET fingerprint = excluded.fingerprint",
            (native_id, parent, title or native_id, created, created, fingerprint, len(messages), source, licence),
        )
        row = connection.execute("SELECT id FROM session WHERE native_id = ?", (native_id,)).fetchone()[0]
        connection.execute("DELETE FROM message WHERE session_id = ?", (row,))
        for seq, message in enumerate(messages):
            about = msgspec.structs.replace(
                message.about,
                native_id=message.about.native_id or f"{native_id}-{seq}",
                created=message.about.created or created + seq,
            )
            body = msgspec.json.encode(msgspec.structs.replace(message, about=about))
            connection.execute("INSERT INTO message VALUES (?, ?, ?)", (row, seq, body))
