"""A row that is too long, or whose template rewrites earlier turns, as several texts that are trained on.

Split at user turns first: every part has the system message, the tools, as many earlier requests as context as fit, and
its own request. A request that is too long alone is split after edits. An assistant's turn is never cut, a tool's
result stays with its call, and every trained turn carries loss in exactly one part or is listed as left out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

import msgspec

from lora_tui.jobs.audit import LeftOut, Reason, Where
from lora_tui.worker.mask import Conversation, Span, conversation, labels, places, trained, views
from lora_tui.worker.rows import Row
from lora_tui.worker.template import NotRendered, NotText, Template

# What agents call the tools that change a file; lower case, without what stands before the last dot or underscores.
EDITS = frozenset(
    {
        *("edit", "edit_block", "edit_file", "morph_edit", "multi_edit", "multiedit", "notebook_edit", "notebookedit"),
        *("append_to_file", "create_file", "update_file", "write", "write_file", "write_to_file"),
        *("apply_diff", "apply_patch", "patch", "insert_content", "insert_edit_into_file"),
        *("replace", "replace_in_file", "search_replace", "str_replace", "str_replace_editor"),
        "str_replace_based_edit_tool",
    }
)


class Window(msgspec.Struct, frozen=True):
    """One text that is trained on: a whole row, or a part of it."""

    text: str
    spans: list[Span]  # of the trained turns, in characters
    input_ids: list[int]
    offsets: list[Span]
    messages: tuple[int, ...]  # of the row that are in it
    turns: tuple[int, ...]  # of the row that carry loss, one for each span
    part: int = 1
    parts: int = 1
    at: Where | Literal[""] = ""
    whole: int = 0  # tokens of the whole row

    @property
    def labels(self) -> list[int]:
        """The ids of tokens that carry loss, IGNORED elsewhere."""
        return labels(self.input_ids, self.offsets, self.spans)


class _Piece(msgspec.Struct, frozen=True):
    """Messages that belong into one part, or that fit into none (`tokens` over the limit)."""

    window: Window
    at: Where | Literal[""]
    fits: bool


def windows(template: Template, row: Row, max_length: int, split: str = "") -> list[Window | LeftOut]:
    """What of a row is trained on and what is not; one item for most rows. Never raises."""

    def left_out(reason: Reason, tokens: int = 0, about: str = "", part: int = 0) -> LeftOut:
        return LeftOut(id=row.id, split=split, reason=reason, tokens=tokens, about=about, part=part)

    try:
        talk = conversation(template, row)
        turns = trained(row)
        whole = _window(talk, range(len(talk.messages)), ())
        if not turns:
            return [left_out("no_loss", len(whole.input_ids))]
        pieces = _pieces(talk, turns, max_length, whole)
    except NotText:
        return [left_out("not_text")]
    except NotRendered as error:
        return [left_out("not_rendered", about=str(error))]
    tokens = len(whole.input_ids)
    if {turn for piece in pieces for turn in piece.window.turns} != set(turns):
        return [left_out("rewritten", tokens)]
    if not any(piece.fits for piece in pieces):
        return [left_out("too_long", tokens)]
    at: Where | Literal[""] = "edit" if any(piece.at == "edit" for piece in pieces) else ""
    at = at or ("user turn" if len(pieces) > 1 else "")
    result: list[Window | LeftOut] = []
    for part, piece in enumerate(pieces, start=1):
        if piece.fits:
            result.append(msgspec.structs.replace(piece.window, part=part, parts=len(pieces), at=at, whole=tokens))
        else:
            result.append(left_out("too_long", len(piece.window.input_ids), part=part))
    return result


def encode(template: Template, texts: Sequence[str]) -> list[Any]:
    """Encodings (`ids`, `offsets`) of texts that hold their special tokens already; in parallel."""
    backend = template.tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return list(backend.encode_batch(list(texts), add_special_tokens=False))


def _pieces(talk: Conversation, turns: Sequence[int], max_length: int, whole: Window) -> list[_Piece]:
    """In the order of their trained turns; turns without a place are in none."""
    pieces: list[_Piece] = []
    for count, found in views(talk, turns):
        if count == len(talk.messages) and len(whole.input_ids) > max_length:
            pieces += _split(talk, count, found, max_length)
            continue
        window = _window(talk, range(count), found)
        if len(window.input_ids) <= max_length:
            pieces.append(_Piece(window, "", True))
        else:
            pieces += _split(talk, count, found, max_length)
    return sorted(pieces, key=lambda piece: piece.window.turns)


def _split(talk: Conversation, count: int, turns: Collection[int], max_length: int) -> list[_Piece]:
    """Parts of the first `count` messages, which are too many, that fit, each with as much before it as fits too."""
    head, requests = _requests(talk, count)
    wanted = [number for number, request in enumerate(requests) if set(request) & set(turns)]
    pieces: list[_Piece] = []

    def fitting(first: int, last: int, train: Collection[int]) -> Window | None:
        inside = [*head, *(index for request in requests[first : last + 1] for index in request)]
        window = _of(talk, inside, train)
        return window if window is not None and len(window.input_ids) <= max_length else None

    def beginning(last: int) -> Window | None:
        return fitting(0, last, [turn for request in requests[: last + 1] for turn in request if turn in turns])

    shorter = [number for number in wanted if number + 1 < len(requests)]
    first = _last_that_fits(shorter, beginning)  # what fits from the beginning on lacks no context: one part
    if first is not None:
        pieces.append(_Piece(first[1], "user turn", True))
        wanted = wanted[first[0] + 1 :]
    for number in wanted:
        train = [turn for turn in requests[number] if turn in turns]
        befores = list(range(number, -1, -1))
        most = _last_that_fits(befores, lambda start, last=number, own=train: fitting(start, last, own))
        if most is None:
            pieces += _split_at_edits(talk, head, requests[number], train, max_length)
        else:
            pieces.append(_Piece(most[1], "user turn", True))
    return pieces


def _split_at_edits(
    talk: Conversation, head: Sequence[int], request: Sequence[int], turns: Collection[int], max_length: int
) -> list[_Piece]:
    """Parts of one request: what was asked, and what came after one edit up to another."""
    asked, blocks = _blocks(talk, request)
    pieces: list[_Piece] = []
    at = 0
    while at < len(blocks):

        def part(last: int, start: int = at) -> tuple[list[int], Window | None]:
            inside = [index for block in blocks[start : last + 1] for index in block]
            train = [index for index in inside if index in turns]
            return train, _of(talk, [*head, *asked, *inside], train)

        def fitting(last: int) -> Window | None:
            _, window = part(last)
            return window if window is not None and len(window.input_ids) <= max_length else None

        most = _last_that_fits(list(range(at, len(blocks))), fitting)
        train, window = part(at if most is None else at + most[0])
        if train and window is not None:
            pieces.append(_Piece(window, "edit", most is not None))
        at += 1 if most is None else most[0] + 1
    return pieces


def _last_that_fits(choices: Sequence[int], fitting: Any) -> tuple[int, Window] | None:
    """The place in `choices` of the last that fits, where each needs more room than the one before it.

    From the small ones on, in steps that double: what is tried and does not fit is little longer than what does.
    """
    low, high, step = 0, len(choices), 1
    best: tuple[int, Window] | None = None
    while low + step <= high:
        window = fitting(choices[low + step - 1])
        if window is None:
            high = low + step - 1
            break
        best, low, step = (low + step - 1, window), low + step, 2 * step
    while low < high:
        middle = (low + high) // 2
        window = fitting(choices[middle])
        if window is None:
            high = middle
        else:
            best, low = (middle, window), middle + 1
    return best


def _of(talk: Conversation, inside: Sequence[int], turns: Collection[int]) -> Window | None:
    """These messages as a conversation of their own; None where a turn has no place in it, or it cannot be told."""
    part = Conversation(talk.template, [talk.messages[index] for index in inside], talk.tools)
    own = {index: place for place, index in enumerate(inside)}
    try:
        wanted = [own[turn] for turn in turns]
        found = places(part, len(inside), wanted)
        if len(found) < len(wanted) and inside[-1] in turns and part.join(len(inside) - 1):
            found = places(part, len(inside), wanted)
        if len(found) != len(wanted):
            return None
        window = _window(part, range(len(inside)), found)
    except NotRendered:
        return None
    return msgspec.structs.replace(window, messages=tuple(inside), turns=tuple(sorted(turns)))


def _window(talk: Conversation, inside: range, found: Any) -> Window:
    text = talk.text(len(inside))
    (encoding,) = encode(talk.template, [text])
    turns = tuple(sorted(found))
    return Window(
        text=text,
        spans=[found[turn] for turn in turns],
        input_ids=encoding.ids,
        offsets=encoding.offsets,
        messages=tuple(inside),
        turns=turns,
    )


def _requests(talk: Conversation, count: int) -> tuple[list[int], list[list[int]]]:
    """What stands before the first request, and the messages of each: it begins where a user speaks after others."""
    head: list[int] = []
    requests: list[list[int]] = []
    for index in range(count):
        role = talk.messages[index]["role"]
        if role == "user" and (not requests or talk.messages[index - 1]["role"] != "user"):
            requests.append([])
        elif not requests and role != "system":
            requests.append([])  # it begins without a request
        (requests[-1] if requests else head).append(index)
    return head, requests


def _blocks(talk: Conversation, request: Sequence[int]) -> tuple[list[int], list[list[int]]]:
    """What was asked, and what followed, in blocks that end with the results of an edit."""
    asked: list[int] = []
    blocks: list[list[int]] = []
    edited = True
    for index in request:
        message = talk.messages[index]
        if message["role"] == "user" and not blocks:
            asked.append(index)
            continue
        if not blocks or (edited and message["role"] != "tool"):
            blocks.append([])
            edited = False
        blocks[-1].append(index)
        if any(is_edit(call["function"]["name"]) for call in message.get("tool_calls", ())):
            edited = True
    return asked, blocks


def is_edit(name: str) -> bool:
    """Whether a tool of this name changes files."""
    plain = name.lower().rpartition(".")[2].rpartition("__")[2]
    return plain in EDITS or plain.replace("-", "_") in EDITS
