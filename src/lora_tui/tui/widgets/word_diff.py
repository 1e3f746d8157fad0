"""What two texts differ in, word by word: the places in each that the other does not have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

Span = tuple[int, int]  # from the first character to behind the last

_TOKENS = re.compile(r"\w+|[^\w\s]")
_ALIKE = 0.3  # two passages with fewer words in common than this are two passages, not one that was changed
_MOST = 1_000_000  # pairs of words that are compared; a longer passage is different as a whole


def word_diff(one: str, other: str) -> tuple[list[Span], list[Span]]:
    """Places of `one` that `other` lacks, and the other way round, in order; blanks do not count.

    Whole lines are matched first, then words within what is left: texts of a few thousand words take milliseconds.
    """
    lines, others = _lines(one), _lines(other)
    matcher = SequenceMatcher(
        None, [one[a:b].strip() for a, b in lines], [other[a:b].strip() for a, b in others], autojunk=False
    )
    gone: list[Span] = []
    new: list[Span] = []
    for tag, left, left_end, right, right_end in matcher.get_opcodes():
        if tag != "equal":
            first, second = _tokens(one, lines[left:left_end]), _tokens(other, others[right:right_end])
            less, more = _words(one, first, other, second)
            gone += less
            new += more
    return _joined(one, gone), _joined(other, new)


def _words(one: str, first: list[Span], other: str, second: list[Span]) -> tuple[list[Span], list[Span]]:
    if not first or not second or len(first) * len(second) > _MOST:
        return first, second
    matcher = SequenceMatcher(None, [one[a:b] for a, b in first], [other[a:b] for a, b in second], autojunk=False)
    if matcher.ratio() < _ALIKE:
        return first, second
    less: list[Span] = []
    more: list[Span] = []
    for tag, left, left_end, right, right_end in matcher.get_opcodes():
        if tag != "equal":
            less += first[left:left_end]
            more += second[right:right_end]
    return less, more


def _lines(text: str) -> list[Span]:
    found, start = [], 0
    for line in text.split("\n"):
        found.append((start, start + len(line)))
        start += len(line) + 1
    return found


def _tokens(text: str, lines: Sequence[Span]) -> list[Span]:
    if not lines:
        return []
    return [found.span() for found in _TOKENS.finditer(text, lines[0][0], lines[-1][1])]


def _joined(text: str, spans: Sequence[Span]) -> list[Span]:
    """Neighbours on one line with nothing but blanks between them as one."""
    joined: list[Span] = []
    for start, end in spans:
        between = text[joined[-1][1] : start] if joined else "\n"
        if not between.strip() and "\n" not in between:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
