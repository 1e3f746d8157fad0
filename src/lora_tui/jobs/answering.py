"""What goes over the pipes of `python -m lora_tui.worker answer`: one JSON document per line, both ways.

In:  {"id": 1, "messages": [...], "max_tokens": 256, "temperature": 0.0, "seed": 0}
Out: {"type": "ready", ...} once, then per request any number of "delta" and one "done" or "error".
"""

from __future__ import annotations

from typing import Any

import msgspec


class Request(msgspec.Struct, frozen=True):
    """A chat to answer. Temperature 0 is greedy: the same answer every time. `base_only` asks the untuned model."""

    id: int
    messages: list[dict[str, Any]]
    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    base_only: bool = False


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The model is loaded; requests are answered in order from now on."""

    model: str
    device: str


class Delta(msgspec.Struct, frozen=True, tag="delta"):
    """A further piece of the answer."""

    id: int
    text: str


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The answer is complete. `stopped`: it ended by itself and was not cut at max_tokens."""

    id: int
    tokens: int
    prompt_tokens: int
    stopped: bool


class Trouble(msgspec.Struct, frozen=True, tag="error"):
    """This request could not be answered; id 0: the process could not start or could not read the line."""

    id: int
    error: str
    fix: str = ""


Reply = Ready | Delta | Done | Trouble

_ENCODER = msgspec.json.Encoder()
_REQUEST = msgspec.json.Decoder(Request)
_REPLY: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def line(message: Request | Reply) -> bytes:
    """One message as a line."""
    return _ENCODER.encode(message) + b"\n"


def request(data: bytes) -> Request:
    """A line as a request. Raises msgspec.DecodeError."""
    return _REQUEST.decode(data)


def reply(data: bytes) -> Reply:
    """A line as a reply. Raises msgspec.DecodeError."""
    return _REPLY.decode(data)
