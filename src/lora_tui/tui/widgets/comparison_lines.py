"""Two versions of a conversation beside each other: recorded on the left, edited on the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from rich.cells import cell_len

from lora_tui.sources.model import Message
from lora_tui.tui.safe_text import fit
from lora_tui.tui.widgets.conversation_lines import Line, conversation

_BETWEEN = 3  # cells: mark and rule between the columns


def compared(before: Sequence[Message], after: Sequence[Message], width: int) -> Iterator[Line]:
    """Both versions line by line in two columns; `-` and `+` mark what differs, so colour is not needed."""
    column = (width - _BETWEEN) // 2
    left = list(conversation(before, column, folded=False))
    right = list(conversation(after, column, folded=False))
    yield [(fit("as recorded", column), "heading"), (" │ ", "muted"), (fit("as edited", column), "heading")]
    matcher = SequenceMatcher(a=[_text(line) for line in left], b=[_text(line) for line in right], autojunk=False)
    for tag, left_from, left_to, right_from, right_to in matcher.get_opcodes():
        for number in range(max(left_to - left_from, right_to - right_from)):
            old = left[left_from + number] if left_from + number < left_to else None
            new = right[right_from + number] if right_from + number < right_to else None
            yield _row(old, new, column, changed=tag != "equal")


def _row(old: Line | None, new: Line | None, column: int, *, changed: bool) -> Line:
    if not changed:
        return [*_padded(old or [], column), (" │ ", "muted"), *(new or [])]
    return [
        *([(fit(_text(old), column), "bad")] if old is not None else [(" " * column, "")]),
        ("-" if old is not None else " ", "bad"),
        ("│", "muted"),
        ("+" if new is not None else " ", "good"),
        *([(_text(new), "good")] if new is not None else []),
    ]


def _padded(line: Line, width: int) -> Line:
    return [*line, (" " * max(0, width - cell_len(_text(line))), "")]


def _text(line: Line) -> str:
    return "".join(text for text, _ in line)
