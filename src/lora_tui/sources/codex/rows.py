"""The lines of a rollout, as far as they are read. Unknown kinds are passed over."""

from __future__ import annotations

from typing import Any

import msgspec

_NOTHING = msgspec.Raw(b"null")


class Row(msgspec.Struct, frozen=True):
    """One line."""

    type: str = ""
    timestamp: str = ""
    payload: msgspec.Raw = _NOTHING


class Instructions(msgspec.Struct, frozen=True):
    """The system prompt."""

    text: str = ""


class Meta(msgspec.Struct, frozen=True):
    """session_meta: how the session began."""

    id: str = ""
    timestamp: str = ""
    cwd: str = ""
    cli_version: str = ""
    model_provider: str | None = None
    base_instructions: Instructions | str | None = None
    source: Any = None


class TurnContext(msgspec.Struct, frozen=True):
    """turn_context: which model answers from here on."""

    model: str = ""
    cwd: str = ""


class Content(msgspec.Struct, frozen=True):
    """One part of a message or of an output."""

    type: str = ""
    text: str = ""
    image_url: Any = None


class Passed(msgspec.Struct, frozen=True):
    """What new versions note about a message: where each part comes from."""

    content_item_kinds: list[str] | None = None


class OldOutput(msgspec.Struct, frozen=True):
    """An output with the program's judgement, as versions of 2025 wrote some."""

    content: str = ""
    success: bool | None = None


class Item(msgspec.Struct, frozen=True):
    """response_item: one item of the conversation, as it goes over the provider's API."""

    type: str = ""
    id: str | None = None
    role: str = ""
    content: list[Content] | str | None = None
    summary: list[Content] | None = None
    name: str = ""
    namespace: str | None = None
    arguments: Any = None
    input: Any = None
    action: msgspec.Raw = _NOTHING
    call_id: str | None = None
    output: list[Content] | OldOutput | str | None = None
    internal_chat_message_metadata_passthrough: Passed | None = None


class CompletedItem(msgspec.Struct, frozen=True):
    """What an item_completed event is about."""

    type: str = ""
    id: str | None = None
    exit_code: Any = None


class Event(msgspec.Struct, frozen=True):
    """event_msg: the same conversation for the screen, and what it alone knows."""

    type: str = ""
    call_id: str | None = None
    exit_code: Any = None
    item: CompletedItem | None = None


class Compacted(msgspec.Struct, frozen=True):
    """compacted: the context starts anew from a summary."""

    message: str = ""


row = msgspec.json.Decoder(Row)
meta = msgspec.json.Decoder(Meta)
turn = msgspec.json.Decoder(TurnContext)
item = msgspec.json.Decoder(Item)
event = msgspec.json.Decoder(Event)
compacted = msgspec.json.Decoder(Compacted)


def parts(content: list[Content] | str | None) -> list[Content]:
    """A content's parts; plain text is one."""
    if isinstance(content, str):
        return [Content("input_text", content)] if content else []
    return content or []
