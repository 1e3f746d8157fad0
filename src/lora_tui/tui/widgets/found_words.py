"""What was searched for, marked in the lines of a conversation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lora_tui.tui.widgets.conversation_lines import Line

_KEEP = ("redacted", "muted")  # tones that say something of their own


def marked(lines: Iterable[Line], words: str) -> Iterator[Line]:
    """The lines with the searched words in the tone 'found': each word whole, the last one also as a beginning."""
    *whole, last = re.findall(r"\w+", words) or [""]
    if not last:
        yield from lines
        return
    choices = "|".join([*(re.escape(word) + r"(?!\w)" for word in whole), re.escape(last) + r"\w*"])
    pattern = re.compile(rf"((?<!\w)(?:{choices}))", re.I)
    for line in lines:
        yield [
            (piece, "found" if number % 2 and tone not in _KEEP else tone)
            for text, tone in line
            for number, piece in enumerate(pattern.split(text))
            if piece
        ]
