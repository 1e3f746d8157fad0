"""Findings in a file of any size: it is read in pieces that overlap, so that no key is cut in two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from lora_tui.curation.redact_rules import active
from lora_tui.curation.redact_scan import scan

_PIECE = 4 * 1024**2  # bytes
_OVERLAP = 32 * 1024  # characters: more than a private key has


class Finding(msgspec.Struct, frozen=True):
    """Where a rule applies; never what stands there."""

    rule: str
    kind: str  # secret or personal
    action: str  # placeholder, replace or block
    line: int  # from 1
    column: int  # in characters, from 1


def findings(file: BinaryIO, off: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """What the rules find in a file, in order. Memory: one piece. What is no UTF-8 is read byte by byte."""
    rules = active(off)
    text, line, column = "", 1, 1
    while True:
        piece = file.read(_PIECE)
        text += _text(piece + _rest_of_character(piece, file))
        cut = _cut(text) if piece else len(text)
        for hit in scan(text, rules):
            if hit.start >= cut:
                break
            before = text.count("\n", 0, hit.start)
            last = text.rfind("\n", 0, hit.start)
            place = hit.start - last if last >= 0 else column + hit.start
            yield Finding(hit.rule.id, hit.rule.kind, hit.rule.action, line + before, place)
            cut = max(cut, hit.end)  # not to be seen again from its middle
        if not piece:
            return
        last = text.rfind("\n", 0, cut)
        column = cut - last if last >= 0 else column + cut
        line += text.count("\n", 0, cut)
        text = text[cut:]


def _cut(text: str) -> int:
    """What lies after it is looked at again with the next piece; the beginning of a line, where there is one."""
    at = len(text) - _OVERLAP
    return max(0, text.rfind("\n", at - _OVERLAP, at) + 1 or at) if at > 0 else 0


def _rest_of_character(piece: bytes, file: BinaryIO) -> bytes:
    """The bytes that complete a UTF-8 character cut in two at the end of a piece."""
    for back in range(1, min(4, len(piece) + 1)):
        first = piece[-back]
        if first >= 0xC0:
            return file.read((2 if first < 0xE0 else 3 if first < 0xF0 else 4) - back)
        if first < 0x80:
            break
    return b""


def _text(piece: bytes) -> str:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return piece.decode("latin-1")
