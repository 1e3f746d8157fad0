"""The lines of a session file, as far as they are read. Unknown keys and kinds of line are passed over."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

_NOTHING = msgspec.Raw(b"null")


class MessageHead(msgspec.Struct, frozen=True):
    """A message of the provider's API, its content unread."""

    id: str = ""
    model: str = ""
    content: msgspec.Raw = _NOTHING


class Row(msgspec.Struct, frozen=True):
    """One line: an envelope which makes the lines a tree, and what lies in it."""

    type: str = ""
    uuid: str | None = None
    parentUuid: str | UnsetType | None = UNSET
    logicalParentUuid: str | None = None  # where a compaction begins a tree anew
    subtype: str | None = None
    isSidechain: bool = False
    isMeta: bool = False
    isCompactSummary: bool = False
    isApiErrorMessage: bool = False
    promptSource: str | None = None
    agentId: str | None = None
    sessionId: str | None = None
    timestamp: str = ""
    cwd: str | None = None
    version: str | None = None
    message: MessageHead | None = None
    toolUseResult: msgspec.Raw = _NOTHING
    attachment: msgspec.Raw = _NOTHING
    rendered: msgspec.Raw = _NOTHING
    summary: str | None = None
    leafUuid: str | None = None
    customTitle: str | None = None
    aiTitle: str | None = None


class Source(msgspec.Struct, frozen=True):
    """The bytes of a picture or a document, or where they are."""

    type: str = ""
    media_type: str = ""
    data: str = ""
    url: str = ""


class Block(msgspec.Struct, frozen=True):
    """One content block of any kind."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    id: str = ""
    name: str = ""
    title: Any = None
    input: msgspec.Raw = _NOTHING
    tool_use_id: str = ""
    content: msgspec.Raw = _NOTHING
    is_error: bool | None = None
    source: Source | str | None = None  # a text names where a search result comes from


class Result(msgspec.Struct, frozen=True):
    """What the program notes of a tool's result beside what the model was told; of many tools, of many shapes."""

    agentId: Any = None
    interrupted: Any = None
    backgroundTaskId: Any = None
    returnCodeInterpretation: Any = None


class Attachment(msgspec.Struct, frozen=True):
    """What the program added by itself, or what the user typed while the model was at work."""

    type: str = ""
    prompt: Any = None


class Rendered(msgspec.Struct, frozen=True):
    """An attachment's text as the model got it."""

    content: str | list[Block] = ""


class Meta(msgspec.Struct, frozen=True):
    """agent-….meta.json: what the parent asked for."""

    agentType: str | None = None
    description: str | None = None
    toolUseId: str | None = None


row = msgspec.json.Decoder(Row)
meta = msgspec.json.Decoder(Meta)
_blocks = msgspec.json.Decoder(str | list[Block] | None)
_result = msgspec.json.Decoder(Result)
_attachment = msgspec.json.Decoder(Attachment)
_rendered = msgspec.json.Decoder(list[Rendered] | None)


def blocks(content: msgspec.Raw) -> list[Block]:
    """The blocks of a content; plain text is one. Raises msgspec.DecodeError."""
    found = _blocks.decode(content)
    if isinstance(found, str):
        return [Block(type="text", text=found)] if found else []
    return found or []


def result(content: msgspec.Raw) -> Result | None:
    """What is noted of a result; None where that is a text or a list."""
    return _result.decode(content) if bytes(content).startswith(b"{") else None


def attachment(content: msgspec.Raw) -> Attachment:
    """An attachment. Raises msgspec.DecodeError."""
    return _attachment.decode(content)


def rendered(content: msgspec.Raw) -> list[str]:
    """An attachment's texts. Raises msgspec.DecodeError."""
    return [
        text
        for one in _rendered.decode(content) or []
        for text in ([one.content] if isinstance(one.content, str) else [block.text for block in one.content])
        if text
    ]
