"""The whole function or class around a change: proposed by indentation, proven by tree-sitter.

Parsing whole files costs ten times what reading the history does (measured on 12,000 commits), and committed code is
indented: so the lines around a change are cut by their indentation, and only what was cut is parsed. Where that does
not parse, the whole file is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lora_tui.sources.code.definitions import definitions, enclosing
from lora_tui.sources.code.grammar import grammar_of, parse
from lora_tui.sources.code.quality import quality
from lora_tui.sources.git.diff import Hunk
from lora_tui.sources.git.filters import definition_pattern

_CLOSES = re.compile(rb"\}|\)|\]|(end|fi|done|esac)\b")
_CONTINUES = re.compile(
    rb"[)\]].*[:{,]\s*$|[)\]]?\s*(where|throws|=>|->)\b.*$|\{|"
    rb"(\}\s*)?(else|elsif|elif|rescue|ensure|except|finally|catch|case|default|when|in|then|do)\b"
)
_BELONGS_ABOVE = (b"#", b"//", b"/*", b"*", b"@")  # comments and attributes directly above a definition
_MEMBERS = ("javascript", "typescript", "swift")  # parse a member only inside a class


def around(path: str, language: str, before: bytes, after: bytes, hunk: Hunk, most: int) -> tuple[int, int] | None:
    """The bytes of `before`, whole lines, that hold the change and everything it is inside of, up to a definition.

    The smallest definition; a change between the members of a larger one comes with the member before it. None without
    a grammar, or where nothing of at most `most` bytes holds it: then the caller takes the lines around.
    """
    grammar = grammar_of(language, path)
    if not grammar:
        return None
    indent = min((_indent(line) for line in _said(before, after, hunk)), default=0)
    for found in _proposals(language, before, hunk, indent, most):
        if found[1] - found[0] <= most and _parses(grammar, language, before[found[0] : found[1]]):
            return found
    if not indent or len(before) > 4 * most:  # at the top of a file nothing is around it
        return None
    first, last = before.count(b"\n", 0, hunk.a0) + 1, before.count(b"\n", 0, max(hunk.a1 - 1, hunk.a0)) + 1
    one = enclosing(definitions(before, language, path), first, last)
    if one is None or one.end - one.start > most or one.start > hunk.a0 or one.end < hunk.a1 - 1:
        return None
    line_end = before.find(b"\n", one.end)
    return before.rfind(b"\n", 0, one.start) + 1, len(before) if line_end < 0 else line_end + 1


def _proposals(language: str, data: bytes, hunk: Hunk, indent: int, most: int) -> Iterator[tuple[int, int]]:
    """Definitions around the change from the smallest on; then the change with the member before it."""
    header = definition_pattern(language)
    member = hunk.a0
    if hunk.a1 > hunk.a0:
        line = _line(data, hunk.a0)
        if _indent(line) == indent and header.match(line.lstrip()):
            yield _block(data, hunk.a0, indent, hunk.a1, most)
    level = indent
    for start, line in _above(data, hunk.a0):
        if hunk.a1 - start > most:
            return
        here = _indent(line)
        if here > level:
            continue
        text = line.lstrip()
        if here == indent and member == hunk.a0 and header.match(text):
            member = start  # a sibling, while the change itself is between members
        if _CONTINUES.match(text) or (here == level and not (here < indent and header.match(text))):
            if here < level and not text.startswith((b"}", b"else", b"rescue")):
                level = here
            continue
        level = here
        if here < indent and header.match(text):
            found = _block(data, start, here, hunk.a1, most)
            if found[1] - found[0] <= most:
                yield found
            break
    if member != hunk.a0:
        yield _with_comments(data, member, indent), max(_block(data, member, indent, hunk.a1, most)[1], hunk.a1)


def _block(data: bytes, start: int, indent: int, until: int, most: int) -> tuple[int, int]:
    """From the header line at `start` to the line that ends its block, at least to `until`."""
    end = _next(data, start)
    position = end
    while position < len(data) and position - start <= most + 1:
        line = _line(data, position)
        following = _next(data, position)
        text = line.strip()
        if text and _indent(line) <= indent and not _CONTINUES.match(text):
            if _indent(line) == indent and _CLOSES.match(text):
                end = following
                if end >= until:
                    break
            elif position >= until:
                break
            else:
                end = following
        elif text:
            end = following
        position = following
    return _with_comments(data, start, indent), max(end, until)


def _with_comments(data: bytes, start: int, indent: int) -> int:
    """Up over the comments and attributes directly above."""
    for position, line in _above(data, start, blank=True):
        if _indent(line) != indent or not line.lstrip().startswith(_BELONGS_ABOVE):
            break
        start = position
    return start


def _parses(grammar: str, language: str, piece: bytes) -> bool:
    """Whether the piece is whole: it parses, alone or as a member of a class."""
    margin = re.match(rb"[ \t]*", piece)
    indent = margin.group(0) if margin else b""
    if indent:
        piece = piece[len(indent) :].replace(b"\n" + indent, b"\n")
    if indent and language in _MEMBERS and _sound(grammar, language, b"class X {\n" + piece + b"\n}\n"):
        return True
    return _sound(grammar, language, piece)


def _sound(grammar: str, language: str, piece: bytes) -> bool:
    root = parse(grammar, piece).root_node
    return not root.has_error or quality(root).sound(language)


def _said(before: bytes, after: bytes, hunk: Hunk) -> Iterator[bytes]:
    """The lines that a change removes and adds, without blank ones."""
    for piece in (before[hunk.a0 : hunk.a1], after[hunk.b0 : hunk.b1]):
        for line in piece.split(b"\n"):
            if line.strip():
                yield line


def _above(data: bytes, position: int, blank: bool = False) -> Iterator[tuple[int, bytes]]:
    """The lines above a line start, nearest first, with where they start; blank ones only when asked."""
    while position > 0:
        start = data.rfind(b"\n", 0, position - 1) + 1
        line = data[start : position - 1]
        if blank or line.strip():
            yield start, line
        position = start


def _line(data: bytes, start: int) -> bytes:
    end = data.find(b"\n", start)
    return data[start : end if end >= 0 else len(data)]


def _next(data: bytes, start: int) -> int:
    end = data.find(b"\n", start)
    return end + 1 if end >= 0 else len(data)


def _indent(line: bytes) -> int:
    return len(line) - len(line.lstrip(b" \t"))
