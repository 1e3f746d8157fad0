"""The looking server: one tokenizer in memory, rows of datasets in on stdin by name, out on the pipe as tokens."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from lora_tui.jobs.audit import LeftOut, Reason, Where
from lora_tui.jobs.token_view import Head, Part, Ready, Reply, Request, Said, Trouble, View, line, request
from lora_tui.worker import loading
from lora_tui.worker.look_pieces import heads, pieces
from lora_tui.worker.look_row import Found, find
from lora_tui.worker.mask import Conversation, conversation
from lora_tui.worker.template import NotRendered, NotText, Template
from lora_tui.worker.windows import Window, encode, windows
from lora_tui.workspace.errors import BadInput, LoraTuiError


def serve(base: str, requests: BinaryIO, wire: BinaryIO) -> None:
    """Answer requests in order until their pipe closes. Raises BadInput when the tokenizer cannot be loaded."""
    template = Template(loading.load_tokenizer(base))
    with contextlib.suppress(BrokenPipeError):  # whoever asked has gone
        _say(wire, Ready(base=base))
        while data := requests.readline():
            if data.strip():
                _say(wire, _answer(template, data))


def _say(wire: BinaryIO, reply: Reply) -> None:
    wire.write(line(reply))
    wire.flush()


def _answer(template: Template, data: bytes) -> Reply:
    try:
        asked = request(data)
    except msgspec.DecodeError as error:
        return Trouble(id=0, error=f"not a request: {error}")
    try:
        return look(template, find(Path(asked.dataset), asked.split, asked.row), asked)
    except LoraTuiError as error:
        bad = isinstance(error, BadInput)
        return Trouble(id=asked.id, error=error.what, where=error.where, fix=error.fix, bad_input=bad)
    except Exception as error:  # one bad row must not end the server; the template may raise anything
        return Trouble(id=asked.id, error=f"{type(error).__name__}: {error}", bad_input=False)


def look(template: Template, found: Found, asked: Request) -> View:
    """A row as `tokenize` makes it, with the text that every token stands for."""
    row = found.row
    view = View(
        id=asked.id,
        row=row.id,
        split=found.split,
        number=found.number,
        max_length=asked.max_length,
        tokens=0,
        loss_tokens=0,
        messages=tuple(Said(str(item.get("role", "")), int(item.get("weight", 1))) for item in row.messages),
        parts=(),
    )
    try:
        talk = conversation(template, row)
        text = talk.text(len(talk.messages))
    except NotText:
        return msgspec.structs.replace(view, left_out="not_text")
    except NotRendered as error:
        return msgspec.structs.replace(view, left_out="not_rendered", about=str(error))
    (encoding,) = encode(template, [text])
    parts: list[Part] = []
    before: tuple[int, ...] = ()
    items = windows(template, row, asked.max_length, found.split)
    for number, item in enumerate(items):
        if isinstance(item, Window):
            parts.append(_part(talk, item, _at(talk, before, item.messages)))
            before = item.messages
        elif item.part:
            part, messages = _left_out(talk, item, items[max(0, number - 1) : number], items[number + 1 : number + 2])
            parts.append(msgspec.structs.replace(part, at=_at(talk, before, messages)))
            before = messages
        else:
            whole = Window(text, [], encoding.ids, encoding.offsets, tuple(range(len(talk.messages))), ())
            part = msgspec.structs.replace(_part(talk, whole, ""), left_out=item.reason, about=item.about)
            parts.append(part)
    kept = [part for part in parts if not part.left_out]
    return msgspec.structs.replace(
        view,
        tokens=len(encoding.ids),
        loss_tokens=sum(part.loss_tokens for part in kept),
        parts=tuple(parts),
        left_out="" if kept else parts[0].left_out,
        about="" if kept else parts[0].about,
    )


def _part(talk: Conversation, window: Window, at: Where | Literal[""]) -> Part:
    labels = window.labels
    shown = pieces(talk.template.tokenizer, window.text, window.input_ids, window.offsets, labels)
    own = Conversation(talk.template, [talk.messages[index] for index in window.messages], talk.tools)
    marked = sum(piece.loss for piece in shown)
    reason: Reason | Literal[""] = "" if 0 < marked < len(labels) else "all_loss" if marked else "no_loss"
    return Part(
        number=window.part,
        tokens=len(labels),
        loss_tokens=marked,
        pieces=tuple(shown),
        heads=tuple(Head(piece, window.messages[message]) for piece, message in heads(own, window.text, shown)),
        at=at,
        left_out=reason,
    )


def _at(talk: Conversation, before: tuple[int, ...], messages: tuple[int, ...]) -> Where | Literal[""]:
    """Where a part was cut from the one before: inside a request after an edit, or before one; "" where none is."""
    if not before or not messages:
        return ""
    last, this = (
        max((index for index in one if talk.messages[index]["role"] == "user"), default=-1)
        for one in (before, messages)
    )
    return "edit" if last == this else "user turn"


def _left_out(
    talk: Conversation, item: LeftOut, before: list[Window | LeftOut], after: list[Window | LeftOut]
) -> tuple[Part, tuple[int, ...]]:
    """A part that fits nowhere; with its messages and tokens where they are sure, between two parts that fit."""
    part = Part(
        number=item.part,
        tokens=item.tokens,
        loss_tokens=0,
        pieces=(),
        heads=(),
        left_out=item.reason,
        about=item.about,
    )
    inside = _between(talk, before, after)
    if not inside:
        return part, ()
    own = Conversation(talk.template, [talk.messages[index] for index in inside], talk.tools)
    try:
        text = own.text(len(inside))
    except NotRendered:
        return part, ()
    (encoding,) = encode(talk.template, [text])
    if len(encoding.ids) != item.tokens:
        return part, ()
    whole = _part(talk, Window(text, [], encoding.ids, encoding.offsets, tuple(inside), ()), "")
    return msgspec.structs.replace(part, pieces=whole.pieces, heads=whole.heads), tuple(inside)


def _between(talk: Conversation, before: list[Window | LeftOut], after: list[Window | LeftOut]) -> list[int]:
    """The messages that neither neighbour has, with the system's and the request they belong to."""
    roles = [message["role"] for message in talk.messages]
    start, stop = 0, len(roles)
    for item in before:
        start = max(item.messages) + 1 if isinstance(item, Window) else stop
    for item in after:
        stop = _tail(item.messages) if isinstance(item, Window) else start
    if start >= stop:
        return []
    asked = start
    while asked and roles[asked] != "user":
        asked -= 1
    while asked and roles[asked - 1] == roles[asked] == "user":
        asked -= 1
    first = next((index for index, role in enumerate(roles) if role != "system"), 0)
    request = [index for index in range(asked, start) if roles[index] == "user"]
    return sorted({*range(first), *request, *range(start, stop)})


def _tail(messages: tuple[int, ...]) -> int:
    """Where the last unbroken run of messages begins."""
    at = messages[-1]
    while at - 1 in messages:
        at -= 1
    return at
