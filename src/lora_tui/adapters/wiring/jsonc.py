"""JSON with comments and trailing commas, read with the place of every value, so that an edit can keep the rest.

Our own because none that was looked at keeps a file: json5 and json-with-comments give plain data and lose the
comments, json-five writes everything anew, jsonc-edit needs Node.js and downloads a parser on its first call.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import msgspec

from lora_tui.workspace.errors import BadInput

_DEEPEST = 200
_SPACE = re.compile(r"[ \t\r\n]+")
_LINE_COMMENT = re.compile(r"//[^\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORDS = {"true": True, "false": False, "null": None}

Kind = Literal["object", "array", "value"]


class Node(msgspec.Struct, frozen=True):
    """A value at text[start:end]; `members` are an object's properties or an array's items, in order."""

    kind: Kind
    start: int
    end: int
    plain: Any  # as json.loads gives it
    members: tuple[Member, ...] = ()

    def find(self, key: str) -> Member | None:
        """The property `key`; of several the last, which is the one that counts."""
        return next((member for member in reversed(self.members) if member.key == key), None)


class Member(msgspec.Struct, frozen=True):
    """One property or item: it begins at `start` (with its key); `comma` is where the one behind it is, else -1."""

    key: str
    start: int
    value: Node
    comma: int = -1


def parse(text: str, path: Path | None = None) -> Node | None:
    """The value of a text, None where it has none but comments. Raises BadInput with file, line and column."""
    reader = _Reader(text, path)
    at = reader.skip(0)
    if at == len(text):
        return None
    node = reader.value(at, 0)
    at = reader.skip(node.end)
    if at < len(text):
        raise reader.wrong("expected the end of the file", at)
    return node


def skip_on_line(text: str, at: int) -> int:
    """Behind the spaces and comments that follow on the same line; `at` itself where something else follows there."""
    here = at
    while here < len(text) and text[here] not in "\r\n":
        if text[here] in " \t":
            here += 1
        elif found := _LINE_COMMENT.match(text, here):
            here = found.end()
        elif text.startswith("/*", here):
            end = text.find("*/", here + 2) + 2
            if end < 2 or "\n" in text[here:end]:
                return at
            here = end
        else:
            return at
    return here


class _Reader:
    def __init__(self, text: str, path: Path | None) -> None:
        self.text = text
        self.path = path

    def wrong(self, reason: str, at: int) -> BadInput:
        """The error at an offset of the text."""
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        place = f"line {line}, column {column}"
        return BadInput(f"not valid JSON: {reason}", where=f"{self.path}, {place}" if self.path else place)

    def skip(self, at: int) -> int:
        """Behind white space and comments."""
        while True:
            if found := _SPACE.match(self.text, at) or _LINE_COMMENT.match(self.text, at):
                at = found.end()
            elif self.text.startswith("/*", at):
                end = self.text.find("*/", at + 2)
                if end < 0:
                    raise self.wrong("a comment that does not end", at)
                at = end + 2
            else:
                return at

    def value(self, at: int, depth: int) -> Node:
        """The value that begins at `at`."""
        if depth > _DEEPEST:
            raise self.wrong("nested too deep", at)
        first = self.text[at : at + 1]
        if first == "{":
            return self._box(at, depth, "object", "}")
        if first == "[":
            return self._box(at, depth, "array", "]")
        if first == '"':
            text, end = self._string(at)
            return Node("value", at, end, text)
        if found := _NUMBER.match(self.text, at):
            return Node("value", at, found.end(), json.loads(found[0]))
        for word, plain in _WORDS.items():
            if self.text.startswith(word, at):
                return Node("value", at, at + len(word), plain)
        raise self.wrong("expected a value" if first else "the file ends too early", at)

    def _box(self, start: int, depth: int, kind: Kind, closing: str) -> Node:
        members: list[Member] = []
        at = self.skip(start + 1)
        while self.text[at : at + 1] != closing:
            if members and members[-1].comma < 0:
                raise self.wrong(f"expected ',' or '{closing}'", at)
            begin, key = at, ""
            if kind == "object":
                key, at = self._string(at)
                at = self.skip(at)
                if self.text[at : at + 1] != ":":
                    raise self.wrong("expected ':'", at)
                at = self.skip(at + 1)
            value = self.value(at, depth + 1)
            at = self.skip(value.end)
            comma = at if self.text[at : at + 1] == "," else -1
            members.append(Member(key, begin, value, comma))
            at = self.skip(at + 1) if comma >= 0 else at
        items = [member.value.plain for member in members]
        plain = {member.key: member.value.plain for member in members} if kind == "object" else items
        return Node(kind, start, at + 1, plain, tuple(members))

    def _string(self, at: int) -> tuple[str, int]:
        found = _STRING.match(self.text, at)
        if not found:
            raise self.wrong("expected a string in double quotes", at)
        return str(json.loads(found[0])), found.end()
