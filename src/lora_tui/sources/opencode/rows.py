"""What opencode keeps in the JSON of a message and of a part, as far as the conversation needs it.

One shape for the `data` columns of the SQLite generation 1.2–1.18 and for the files of the JSON generation up to 1.1.
Everything a model never sees (snapshots, previews, diffs) is skipped while decoding. gc=False: rows come by the
hundred thousand, hold no cycles and are gone at once, so the collector need not look at them.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

_Row = TypeVar("_Row")
_EMPTY_OBJECT = msgspec.Raw(b"{}")

# \\ and whole surrogate pairs are passed over, so that what is left of \ud800–\udfff stands alone.
_SURROGATE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_LONE = 6


class ChangedFile(msgspec.Struct, frozen=True, gc=False):
    """One file of a turn's net changes."""

    file: str = ""


class Summary(msgspec.Struct, frozen=True, gc=False):
    """A user message's summary of what its turn changed; patches can be huge and are skipped."""

    diffs: list[ChangedFile] = []


class ModelName(msgspec.Struct, frozen=True, gc=False):
    """Which model a user message was meant for."""

    providerID: str = ""
    modelID: str = ""


class NamedError(msgspec.Struct, frozen=True, gc=False):
    """Why an assistant message ended early."""

    name: str = ""


class Times(msgspec.Struct, frozen=True, gc=False):
    """Epoch milliseconds; JavaScript numbers may have a fraction."""

    created: float = 0


class MessageData(msgspec.Struct, frozen=True, gc=False):
    """`message.data`, or storage/message/<session>/<id>.json with its ids inline."""

    role: str
    id: str = ""
    time: Times = Times()
    agent: str | None = None
    mode: str | None = None
    model: ModelName | None = None
    summary: bool | Summary | None = None
    parentID: str | None = None
    providerID: str | None = None
    modelID: str | None = None
    error: NamedError | None = None


class ToolTimes(msgspec.Struct, frozen=True, gc=False):
    """When a tool ran; `compacted` is when its output was taken out of the model's context."""

    start: float = 0
    compacted: float | None = None


class ToolMetadata(msgspec.Struct, frozen=True, gc=False):
    """What tools note about a call. Tools of other servers may put anything under these names."""

    exit: Any = None
    interrupted: Any = None
    sessionId: Any = None
    output: msgspec.Raw = msgspec.Raw(b"null")


class Attachment(msgspec.Struct, frozen=True, gc=False):
    """A file that a tool's output carries."""

    mime: str = ""
    url: str = ""
    filename: str | None = None


class ToolState(msgspec.Struct, frozen=True, gc=False):
    """A tool call: pending, running, completed or error."""

    status: str
    input: msgspec.Raw = _EMPTY_OBJECT
    output: str = ""
    error: str = ""
    metadata: ToolMetadata | None = None
    time: ToolTimes = ToolTimes()
    attachments: list[Attachment] | None = None


class PartMetadata(msgspec.Struct, frozen=True, gc=False):
    """What opencode notes about a text part it wrote itself."""

    compaction_continue: Any = None


class PartData(msgspec.Struct, frozen=True, gc=False):
    """`part.data`, or storage/part/<message>/<id>.json: the fields of every type of part in one struct."""

    type: str
    id: str = ""
    text: str = ""
    synthetic: bool | None = None
    ignored: bool | None = None
    metadata: PartMetadata | None = None
    callID: str = ""
    tool: str = ""
    state: ToolState | None = None
    mime: str = ""
    url: str = ""
    filename: str | None = None


_message = msgspec.json.Decoder(MessageData)
_part = msgspec.json.Decoder(PartData)


def message_data(text: bytes) -> MessageData:
    """Decode a message. Raises msgspec.DecodeError (which ValidationError is one of)."""
    try:
        return _message.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return decode(_message, text)


def part_data(text: bytes) -> PartData:
    """Decode a part. Raises msgspec.DecodeError (which ValidationError is one of)."""
    try:
        return _part.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return decode(_part, text)


def decode(decoder: msgspec.json.Decoder[_Row], text: bytes) -> _Row:
    """Decode JSON that JavaScript wrote: a lone surrogate, legal there, becomes U+FFFD as when opencode sends it.

    So does a byte that is no UTF-8, of a damaged row.
    """
    try:
        return decoder.decode(text)
    except UnicodeDecodeError:
        return decode(decoder, text.decode(errors="replace").encode())
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        whole = _SURROGATE.sub(lambda found: b"\\ufffd" if len(found[0]) == _LONE else found[0], text)
        if whole == text:
            raise
        return decoder.decode(whole)
