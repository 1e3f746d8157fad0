"""What a format's own fields cannot say of a row stands beside them, under one key that other programs pass over.

It is JSON text, so that a program which wants one type per column (Arrow) finds one. Where the fields can be read as
the very messages, it holds only where the row came from; else also the messages themselves.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from lora_tui.dataset.formats.format import Fields, Format
from lora_tui.dataset.model import Origin, Row, RowMessage
from lora_tui.sources.chat.conversation import NotAChat

KEY = "lora_tui"


class Beside(msgspec.Struct, frozen=True, omit_defaults=True):
    """The text under KEY; names as in Row."""

    shown: str  # digest of the format's own fields: another one tells that they were edited
    id: str
    language: str = ""
    source: str = ""
    session: str = ""
    model: str = ""
    key: str = ""
    repository: str = ""
    shape: str = "agent"
    origin: Origin = "session"
    licence: str = ""
    toolset: str = ""
    copy: int = 0
    messages: list[RowMessage] | None = None  # None: the fields say them all
    tools: list[dict[str, Any]] | None = None


_PROVENANCE = tuple(set(Row.__struct_fields__) - {"messages", "tools"})
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Beside)


def written(row: Row, fields: dict[str, Any], format: Format) -> str:
    """The text that goes beside `fields`, which this format made of the row."""
    try:
        said = format.read(fields)
    except NotAChat:
        said = None
    same = said is not None and said.messages == row.messages
    known = said is not None and _encoder.encode(said.tools) == _encoder.encode(row.tools)
    beside = Beside(
        shown=digest(fields),
        messages=None if same else row.messages,
        tools=None if known else row.tools,
        **{name: getattr(row, name) for name in _PROVENANCE},
    )
    return _encoder.encode(beside).decode()


def read(text: object) -> Beside:
    """Such a text. Raises NotAChat."""
    try:
        return _decoder.decode(text if isinstance(text, str) else _encoder.encode(text))
    except msgspec.DecodeError as error:
        raise NotAChat(f"what stands under {KEY!r} is damaged: {error}") from None


def row(beside: Beside, messages: list[RowMessage], tools: list[dict[str, Any]]) -> Row:
    """The row that a text beside belongs to, with these messages and tools."""
    return Row(messages=messages, tools=tools, **{name: getattr(beside, name) for name in _PROVENANCE})


def digest(fields: Fields) -> str:
    """What the fields say, whatever the order of their keys and whether absent ones are there as null."""
    plain = {
        name: value if name == "tools" else _without_nulls(value) for name, value in fields.items() if value is not None
    }
    return hashlib.blake2b(msgspec.json.encode(plain, order="sorted"), digest_size=16).hexdigest()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
