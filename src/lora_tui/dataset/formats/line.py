"""A row as one JSON object of a format, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from lora_tui.dataset.formats import beside as besides
from lora_tui.dataset.formats.foreign import foreign, own
from lora_tui.dataset.formats.format import Format
from lora_tui.dataset.formats.formats import of
from lora_tui.dataset.formats.merge import merged
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.sources.chat.conversation import NotAChat, kind

_encoder = msgspec.json.Encoder()


class Read(msgspec.Struct, frozen=True):
    """A row that was read. edited: its visible fields are no longer those that were exported."""

    row: Row
    format: str
    edited: bool = False


def write(row: Row, format: Format) -> bytes:
    """The row as a JSON object, without a line end. Its tools stand in the row, not only in the toolset's name."""
    fields = format.fields(row)
    return _encoder.encode(fields | {besides.KEY: besides.written(row, fields, format)})


def read(data: object, format: Format | None = None) -> Read:
    """The row of a JSON object, also of another program's. Raises NotAChat.

    format: the one that it must be; else it is told by its keys.
    """
    if not isinstance(data, dict):
        raise NotAChat(f"the row is no object but {kind(data)}")
    fields: dict[str, Any] = {name: value for name, value in data.items() if name != besides.KEY}
    if data.get(besides.KEY) is None:
        return _without(fields, format)
    found = format or of(fields)
    if found is None:
        raise NotAChat(f"its keys are of no known format: {', '.join(map(str, list(fields)[:6])) or 'none'}")
    beside = besides.read(data[besides.KEY])
    if besides.digest(fields) == beside.shown:
        row = _exported(beside, fields, found)
        if row is not None:
            return Read(row, found.name)
    return Read(_edited(beside, fields, found), found.name, edited=True)


def row_id(messages: Sequence[RowMessage]) -> str:
    """A row's id: the hash of its messages."""
    return hashlib.blake2b(_encoder.encode(messages), digest_size=16).hexdigest()


def _without(fields: dict[str, Any], format: Format | None) -> Read:
    if format is not None and (there := of(fields)) is not None and there.name.split("-")[0] != _family(format):
        raise NotAChat(f"a row of {there.name}, not of {format.name}")
    built = own(fields)
    if built is not None:
        return Read(built, "lora-tui dataset")
    messages, name, provenance = foreign(fields)
    return Read(Row(id=row_id(messages), messages=messages, origin="import", **provenance), name)


def _family(format: Format) -> str:
    return "messages" if format.container == "table" else format.name.split("-")[0]


def _exported(beside: besides.Beside, fields: dict[str, Any], format: Format) -> Row | None:
    """The row as it was exported; None when what stands beside the fields says something else than they do."""
    said = format.read(fields) if beside.messages is None or beside.tools is None else None
    messages = beside.messages if beside.messages is not None else said.messages if said is not None else []
    tools = beside.tools if beside.tools is not None else said.tools if said is not None else []
    row = besides.row(beside, messages, tools)
    return row if besides.digest(format.fields(row)) == beside.shown else None


def _edited(beside: besides.Beside, fields: dict[str, Any], format: Format) -> Row:
    after = format.read(fields)
    messages, tools = after.messages, after.tools
    original = besides.row(beside, beside.messages or after.messages, beside.tools or [])
    if beside.messages is not None or beside.tools is not None:
        try:
            before = format.read(format.fields(original))
        except NotAChat:  # it could never be read back: the visible text is all there is
            before = None
        if before is not None and beside.messages is not None:
            messages = merged(beside.messages, before.messages, after.messages)
        if beside.tools is not None and (before is None or before.tools == after.tools):
            tools = beside.tools
    if not any(message.role == "assistant" for message in messages):
        raise NotAChat("no answer of an assistant is left in it")
    return msgspec.structs.replace(original, id=row_id(messages), messages=messages, tools=tools)
