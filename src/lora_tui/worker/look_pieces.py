"""Tokens as the stretches of text they stand for, and where in them each message begins."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from lora_tui.jobs.token_view import Piece
from lora_tui.worker.mask import IGNORED, Conversation
from lora_tui.worker.template import NotRendered

_SPACE = ("Ġ", "▁")  # how byte-level and SentencePiece vocabularies write a space that a token begins with
_TAIL = 40  # characters of a message's end that are looked for


def pieces(
    tokenizer: Any, text: str, ids: Sequence[int], offsets: Sequence[tuple[int, int]], labels: Sequence[int]
) -> list[Piece]:
    """Every token and every character, once and in order. Tokens that share a character are one piece."""
    named = {number: str(token.content) for number, token in tokenizer.added_tokens_decoder.items()}
    if tokenizer.unk_token_id is not None:
        named[tokenizer.unk_token_id] = str(tokenizer.unk_token)
    words = tokenizer.convert_ids_to_tokens(list(ids))
    found: list[Piece] = []
    done = 0  # characters
    for identity, word, (start, end), label in zip(ids, words, offsets, labels, strict=True):
        loss = int(label != IGNORED)
        if found and found[-1].ids and start < end and start < done:  # they share a character
            last = found[-1]
            text_of = last.text + text[done : max(done, end)]
            found[-1] = Piece(text_of, (*last.ids, identity), last.loss + loss, last.name)
            done = max(done, end)
            continue
        gap = text[done : max(done, start)]
        if gap and not (gap.isspace() and str(word).startswith(_SPACE)):  # some tokenizers leave spaces out of offsets
            found.append(Piece(gap, ()))
            gap = ""
        name = named.get(identity, "")
        shown = gap + text[start:end]
        found.append(Piece(shown, (identity,), loss, name if name or shown else str(word)))
        done = max(done, start, end)
    if done < len(text):
        found.append(Piece(text[done:], ()))
    return found


def heads(talk: Conversation, text: str, shown: Sequence[Piece]) -> Iterator[tuple[int, int]]:
    """(piece, message) where each message of the text begins, in order; a message that cannot be told from the one
    before it begins with it."""
    ends = list(accumulate(len(piece.text) for piece in shown))
    start = 0
    for message in range(len(talk.messages)):
        start = max(start, _start(talk, text, message, start))
        piece = bisect_right(ends, start)
        yield min(piece, max(0, len(shown) - 1)), message


def _start(talk: Conversation, text: str, message: int, before: int) -> int:
    """The character a message begins at; `before` that of the one before it."""
    if not message:
        return 0
    earlier = _rendered(talk, message)
    if earlier and text.startswith(earlier):
        return len(earlier)
    if talk.messages[message]["role"] == "assistant":
        prompt = _rendered(talk, message, prompt=True)
        if prompt and text.startswith(prompt):
            return len(prompt) - len(talk.template.header)
    if talk.messages[message - 1]["role"] == "assistant" and talk.template.end:  # the template has rewritten it
        tail = str(talk.messages[message - 1].get("content", "")).strip()[-_TAIL:]
        said = max(before, text.find(tail, before))
        end = text.find(talk.template.end, said)
        if end >= 0:
            return end + len(talk.template.end)
    return before


def _rendered(talk: Conversation, count: int, *, prompt: bool = False) -> str:
    try:
        return talk.text(count, prompt=prompt)
    except NotRendered:
        return ""
