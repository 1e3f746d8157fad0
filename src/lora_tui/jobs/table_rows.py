"""What `python -m lora_tui.worker rows PATH` says: one JSON document per line, a row each, and a last word.

`… table` takes rows of the format `parquet`, a JSON object per line, and gives the file; in need a Trouble on stderr.
"""

from __future__ import annotations

import msgspec


class Row(msgspec.Struct, frozen=True, tag="row"):
    """One row, as the table has it."""

    data: msgspec.Raw


class Unreadable(msgspec.Struct, frozen=True, tag="unreadable"):
    """A row that JSON cannot hold (a picture, say)."""

    reason: str


class End(msgspec.Struct, frozen=True, tag="end"):
    """That was every row."""


class Trouble(msgspec.Struct, frozen=True, tag="error"):
    """The table cannot be read any further."""

    error: str
    fix: str = ""


Reply = Row | Unreadable | End | Trouble

_ENCODER = msgspec.json.Encoder()
_REPLY: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def line(message: Reply) -> bytes:
    """One message as a line."""
    return _ENCODER.encode(message) + b"\n"


def reply(data: bytes) -> Reply:
    """A line as a message. Raises msgspec.DecodeError."""
    return _REPLY.decode(data)
