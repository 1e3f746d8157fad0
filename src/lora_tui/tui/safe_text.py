"""Foreign text made fit for a terminal: no control codes, no direction tricks, exact cell widths."""

from __future__ import annotations

import re
import time

from rich.cells import cell_len, set_cell_size

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-9;?<=>]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|.)?", re.S
)
# C0 and C1 controls except tab and newline, zero-width and direction marks, variation selectors, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ud800-\udfff]"
)
_BLANK = re.compile(r"\s+")


def plain(text: str) -> str:
    """The text with line breaks kept, tabs as spaces, and everything a terminal would obey removed."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    return _UNSAFE.sub("", text).expandtabs(4)


def one_line(text: str) -> str:
    """The text on one line, its white space collapsed."""
    return _BLANK.sub(" ", plain(text)).strip()


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Exactly `width` cells of one-line text: padded, or cut with an ellipsis; wide characters count two."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        kept = set_cell_size(text, width - 1).rstrip() + "…"
        return kept + " " * (width - cell_len(kept))
    pad = " " * (width - length)
    return pad + text if right else text + pad


def age(milliseconds: int, now: float) -> str:
    """How long ago, in at most three cells: 45s, 12m, 5h, 3d, 9w, 2y."""
    seconds = max(0, int(now - milliseconds / 1000))
    for unit, size in (("y", 31_557_600), ("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size and (unit != "w" or seconds >= 2 * size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def moment(seconds: float) -> str:
    """A point in time as the host's clock says it: 2026-11-20 14:05."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
