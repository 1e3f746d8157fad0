"""A row whose visible fields were edited elsewhere: the edit wins, and what the fields cannot say stays."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.dataset.formats.turns import learned
from lora_tui.dataset.model import RowMessage
from lora_tui.sources.chat.conversation import NotAChat

_FIELDS = RowMessage.__struct_fields__


def merged(
    original: Sequence[RowMessage], before: Sequence[RowMessage], after: Sequence[RowMessage]
) -> list[RowMessage]:
    """The original messages with the edits that turned `before` into `after`.

    before, after: what the fields said before and after the edit. Messages that were added or taken away are found by
    what is equal at both ends. Where the fields never told the messages apart as they are (marks of turns in a text),
    `after` is all there is; raises NotAChat where an answer then would be learned from that is not to be.
    """
    shown = learned(original)
    if len(before) == len(shown) < len(original):  # the format leaves off what follows
        return [*merged(shown, before, after), *original[len(shown) :]]
    if len(before) != len(original):
        if any(message.role == "assistant" and not message.weight for message in original):
            raise NotAChat("it was edited, and which of its answers are not learned from can no longer be told")
        return list(after)
    if len(after) == len(before):
        return [_message(*three) for three in zip(original, before, after, strict=True)]
    most = min(len(before), len(after))
    head = _equal(before, after, most)
    tail = _equal(before[::-1], after[::-1], most - head)
    return [*original[:head], *after[head : len(after) - tail], *original[len(original) - tail :]]


def _message(original: RowMessage, before: RowMessage, after: RowMessage) -> RowMessage:
    values = {
        name: getattr(original if getattr(before, name) == getattr(after, name) else after, name) for name in _FIELDS
    }
    return RowMessage(**values)


def _equal(one: Sequence[RowMessage], other: Sequence[RowMessage], most: int) -> int:
    number = 0
    while number < most and one[number] == other[number]:
        number += 1
    return number
