"""SEARCH/REPLACE blocks in an answer's text, as aider asks its models for them."""

from __future__ import annotations

import re
from typing import NamedTuple

# aider accepts five to nine marks; its own prompt shows seven.
_BLOCK = re.compile(
    r"^<{5,9} SEARCH>?[^\S\n]*\n(?P<old>.*?)^={5,9}[^\S\n]*\n(?P<new>.*?)^>{5,9} REPLACE[^\S\n]*$",
    re.M | re.S,
)
MARK = re.compile(r"^(?:<{5,9} SEARCH>?|={5,9}|>{5,9} REPLACE)\s*$", re.M)
_NAME = re.compile(r"[^\s<>|?\"'`]{1,250}(?<![.,:;!?])")  # a word that ends no sentence
_FENCE = re.compile(r"^\s*(?:`{3,}|~{3,})")


class Block(NamedTuple):
    """One replacement; `old` empty: the content of a new file."""

    path: str
    old: str
    new: str


def blocks(text: str) -> list[Block]:
    """The blocks of a text in order. A block without a path of its own goes on with the file before it."""
    found: list[Block] = []
    path, at = "", 0
    for block in _BLOCK.finditer(text):
        path = _path(text[at : block.start()]) or path
        if path:
            found.append(Block(path, block["old"], block["new"]))
        at = block.end()
    return found


def _path(above: str) -> str:
    """The file named right above a block, on a line of its own, outside or inside the fence."""
    lines = [line.strip() for line in above.split("\n") if line.strip()]
    while lines and _FENCE.match(lines[-1]):
        tag = lines.pop().strip("`~").strip()
        if "." in tag and " " not in tag:  # ```hello.py
            return tag
    if not lines:
        return ""
    name = lines[-1].strip("*`# ").rstrip(":").strip("*`")
    return name if _NAME.fullmatch(name) else ""
