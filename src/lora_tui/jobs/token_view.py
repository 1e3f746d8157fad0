"""What goes over the pipes of `python -m lora_tui.worker look`: one JSON document per line, both ways.

In:  {"id": 1, "dataset": "/…/rust/3", "row": "3f2a", "max_length": 2048}
Out: {"type": "ready", ...} once, then per request one "view" or "error".
"""

from __future__ import annotations

from typing import Literal

import msgspec

from lora_tui.jobs.audit import Reason, Where


class Request(msgspec.Struct, frozen=True):
    """A row to look at. `row` is its id, a prefix of it, or its place in a split: train:3, from 1."""

    id: int
    dataset: str  # folder of the version
    row: str
    max_length: int
    split: str = ""  # look only here


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The tokenizer is loaded; requests are answered in order from now on."""

    base: str


class Trouble(msgspec.Struct, frozen=True, tag="error"):
    """This request could not be answered; id 0: the process could not start or could not read the line."""

    id: int
    error: str
    where: str = ""
    fix: str = ""
    bad_input: bool = True  # what was asked for cannot be used; else something failed


class Piece(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stretch of the text that whole tokens make: one token, or those that only together make a character.

    No ids: text that the tokenizer passes over. No text: a token that stands for none.
    """

    text: str
    ids: tuple[int, ...]
    loss: int = 0  # of its tokens, how many carry loss
    name: str = ""  # of a special or added token, or of the one for what the tokenizer does not know


class Head(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message begins: `piece` is the first that holds a character of it, `message` its place in View.messages."""

    piece: int
    message: int


class Part(msgspec.Struct, frozen=True):
    """What is trained on as one sequence: a whole row, or a piece of one that is too long."""

    number: int  # from 1
    tokens: int
    loss_tokens: int
    pieces: tuple[Piece, ...]
    heads: tuple[Head, ...]
    at: Where | Literal[""] = ""  # where it was cut from the part before
    left_out: Reason | Literal[""] = ""  # it is not trained on, and why
    about: str = ""  # in the template's own words


class Said(msgspec.Struct, frozen=True, array_like=True):
    """A message of the row; weight 0 keeps it out of the loss."""

    role: str
    weight: int = 1


class View(msgspec.Struct, frozen=True, tag="view"):
    """One row as the model will see it, token by token, with what of it is learned.

    No parts: it cannot be rendered; `left_out` and `about` say why. Where every part is left out, so is the row.
    """

    id: int
    row: str
    split: str
    number: int  # its place in the split, from 1
    max_length: int
    tokens: int  # of the whole row; 0 where it could not be rendered
    loss_tokens: int  # of the parts that are trained on
    messages: tuple[Said, ...]
    parts: tuple[Part, ...]
    left_out: Reason | Literal[""] = ""
    about: str = ""

    @property
    def kept(self) -> tuple[Part, ...]:
        """The parts that are trained on."""
        return tuple(part for part in self.parts if not part.left_out)


Reply = Ready | View | Trouble

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
