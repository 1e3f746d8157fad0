"""The language spoken with `python -m lora_tui.worker answer`: one JSON object a line, requests in, replies out.

The worker says `ready` once the model is loaded, then for every request any number of `delta` and one `done` or
`error`. It leaves when its input ends.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """One chat to answer; temperature 0 is greedy."""

    id: int
    messages: list[dict[str, Any]]
    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0


class Ready(msgspec.Struct, frozen=True, tag_field="type", tag="ready"):
    """The model is loaded."""

    model: str


class Delta(msgspec.Struct, frozen=True, tag_field="type", tag="delta"):
    """A further piece of the answer to request `id`."""

    id: int
    text: str


class Done(msgspec.Struct, frozen=True, tag_field="type", tag="done"):
    """The answer is complete; `stopped` is False when it was cut at max_tokens."""

    id: int
    tokens: int
    prompt_tokens: int
    stopped: bool


class Error(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """This request cannot be answered; the worker goes on with the next."""

    id: int
    message: str


Reply = Ready | Delta | Done | Error

_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def decode_reply(line: bytes) -> Reply | None:
    """One line of the worker; None when it is not part of the language."""
    try:
        return _replies.decode(line)
    except msgspec.DecodeError:
        return None
