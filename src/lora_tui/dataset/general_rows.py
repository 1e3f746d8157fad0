"""A general conversation of a chat file as a row."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import msgspec

from lora_tui.curation.redact import redact_text, redacted
from lora_tui.curation.trim import trimmed
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.model import Rejected, Row, RowMessage
from lora_tui.dataset.user_text import user_text
from lora_tui.sources.chat.conversation import Conversation
from lora_tui.sources.chat.rows import Row as Line
from lora_tui.sources.model import Message, text_of
from lora_tui.workspace.profiles import Data

LANGUAGE = "chat"
SOURCE = "chat"

_REQUEST = 200  # characters

Found = tuple[Candidate, Row] | Rejected


def key_of(said: Conversation) -> str:
    """A conversation's key: the hash of what the file holds of it."""
    return hashlib.blake2b(msgspec.json.encode(said.content, order="sorted"), digest_size=16).hexdigest()


def row_of(said: Conversation, place: str, data: Data, off: frozenset[str]) -> Found:
    """The conversation as a row without secrets, or why it is none. place: where it stands, in words."""
    safe = redacted(said.messages, off)
    key = key_of(said)
    asked = next((text_of(message) for message in safe.messages if message.role == "user"), "")
    request = " ".join(asked[: 4 * _REQUEST].split())[:_REQUEST]
    if safe.blocked:
        return Rejected(key, 0, f"replay: {safe.blocked}", "", place)
    messages = [_message(message, data.reasoning) for message in trimmed(safe.messages, data.cap)]
    if not any(_learned(message) for message in messages):
        return Rejected(key, 0, "replay: nothing to learn from", request, place)
    row = Row(
        id=hashlib.blake2b(msgspec.json.encode(messages), digest_size=16).hexdigest(),
        messages=messages,
        language=LANGUAGE,
        source=SOURCE,
        session=place,
        model=redact_text(said.model, off)[0],
        key=key,
        shape="agent" if any(message.tool_calls for message in messages) else "plain",
        origin="replay",
    )
    candidate = Candidate(
        id=row.id,
        key=key,
        example=0,
        language=LANGUAGE,
        source=SOURCE,
        origin="replay",
        shape=row.shape,
        model=sys.intern(row.model),
        licence="",
        session=place,
        root=place,
        repository="",
        created=0,
        cluster=0,
        characters=sum(len(message.content) for message in messages),
        request=request,
        by_person=False,
        findings=tuple(rule for rule, times in sorted(safe.findings.items()) for _ in range(times)),
    )
    return candidate, row


def _message(message: Message, reasoning: bool) -> RowMessage:
    return RowMessage(
        role=message.role,
        content=user_text(message) if message.role == "user" else text_of(message),
        reasoning_content=message.reasoning_content if reasoning else "",
        tool_calls=message.tool_calls,
        tool_call_id=message.tool_call_id,
        weight=int(message.role != "assistant" or message.about.weight != 0),
    )


def _learned(message: RowMessage) -> bool:
    return message.role == "assistant" and bool(message.weight and (message.content.strip() or message.tool_calls))


def place_of(path: Path, line: Line) -> str:
    """The row's place in words that tell nothing of the machine."""
    return f"{path.name}:{line.number}"
