"""The whole function or class around a change: proposed by indentation, tree-sitter decides in doubt.

Parsing every file costs ten times what reading the history does (measured on 12,000 commits), and committed code is
indented: so the lines around a change are cut by their indentation. A piece whose brackets, quotes and `end`s are not
balanced is parsed; where it does not parse, the whole file is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

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
_PAIRS = ((b"{", b"}"), (b"(", b")"), (b"[", b"]"))
_QUOTES = (b'"""', b"'''", b"`")
_RUBY_OPENS = re.compile(
    rb"^[ \t]*(?:def|class|module|if|unless|case|while|until|begin|for)\b|\bdo\b(?:[ \t]*\|[^|\n]*\|)?[ \t]*$"
    rb"|=[ \t]*(?:if|unless|case|begin)\b",
    re.MULTILINE,
)
_RUBY_ENDS = re.compile(rb"^[ \t]*end\b", re.MULTILINE)
_UNSURE = (-1, -1)  # indentation does not tell what the change is in
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
    doubted = False
    for start, end in _proposals(language, before, hunk, indent, most):
        if (start, end) == _UNSURE:
            if found := _parsed_whole(language, path, before, hunk, most):
                return found
        elif end - start <= most:
            piece = before[start:end]
            if _balanced(language, piece) or _parses(grammar, language, piece):
                return start, end
            doubted = True
    return _parsed_whole(language, path, before, hunk, most) if doubted else None


def _parsed_whole(language: str, path: str, data: bytes, hunk: Hunk, most: int) -> tuple[int, int] | None:
    """The smallest definition around the change in the whole file's tree."""
    first, last = data.count(b"\n", 0, hunk.a0) + 1, data.count(b"\n", 0, max(hunk.a1 - 1, hunk.a0)) + 1
    one = enclosing(definitions(data, language, path), first, last)
    if one is None or one.end - one.start > most or one.start > hunk.a0 or one.end < hunk.a1 - 1:
        return None
    return data.rfind(b"\n", 0, one.start) + 1, _next(data, one.end)


def _proposals(language: str, data: bytes, hunk: Hunk, indent: int, most: int) -> Iterator[tuple[int, int]]:
    """The definition that the change is in or that it replaces; else the change with the member before or after it."""
    header = definition_pattern(language)
    if hunk.a1 > hunk.a0:
        line = _line(data, hunk.a0)
        if _indent(line) == indent and header.match(line.lstrip()):
            yield _block(data, hunk.a0, indent, hunk.a1, most)
    level = indent
    odd = False
    for start, line in _above(data, hunk.a0, indent - 1, most):
        here = _indent(line)
        text = line.lstrip()
        if _CONTINUES.match(text):
            continue
        if here > level:  # a definition before the block that the change is in, or lines of a text in between
            odd = odd or bool(header.match(text))
            continue
        if header.match(text):
            found = _block(data, start, here, hunk.a1, most)
            if found[1] - found[0] <= most:
                yield found
                odd = False
            break
        level = here
    if odd:
        yield _UNSURE
    for start, line in _above(data, hunk.a0, indent, most):
        if _indent(line) < indent:
            break
        if header.match(line.lstrip()):
            first, end = _block(data, start, indent, hunk.a1, most)
            yield first, max(end, hunk.a1)
            return
    below = _lines_within(indent).search(data, hunk.a1)
    if below is not None and header.match(data[below.end() : below.end() + 200]):
        yield hunk.a0, _block(data, below.start(), _indent(below.group()), hunk.a1, most)[1]


def _block(data: bytes, start: int, indent: int, until: int, most: int) -> tuple[int, int]:
    """From the header line at `start` to the line that ends its block, at least to `until`; gives up beyond `most`."""
    end = len(data)
    for found in _lines_within(indent).finditer(data, _next(data, start), min(len(data), start + most + 2)):
        position, text_start = found.span()
        text = data[text_start : _line_end(data, text_start)]
        if _CONTINUES.match(text):
            continue
        if text_start - position == indent and _CLOSES.match(text):
            position = _next(data, position)
        if position >= until:
            end = position
            break
    else:
        if start + most + 2 < len(data):
            end = start + most + 2  # too long, whatever it is
    return _with_comments(data, start, indent), max(_without_blank(data, end), until)


@cache
def _lines_within(indent: int) -> re.Pattern[bytes]:
    """The start and indentation of lines that are indented so far at most, blank ones aside."""
    return re.compile(rb"^[ \t]{0,%d}(?=[^\s])" % max(indent, 0), re.MULTILINE)


def _above(data: bytes, position: int, indent: int, most: int) -> Iterator[tuple[int, bytes]]:
    """The lines above that are indented so far at most, nearest first, with where they start."""
    if indent < 0:
        return
    window = 800
    seen = position
    while seen > 0 and position - seen <= most:  # most often it is near
        first = data.rfind(b"\n", 0, max(seen - window, 0)) + 1
        for found in reversed([*_lines_within(indent).finditer(data, first, seen)]):
            yield found.start(), _line(data, found.start())
        seen, window = first, 2 * window


def _without_blank(data: bytes, end: int) -> int:
    """Back over blank lines; `end` where there are none."""
    while end > 1 and data[end - 1] == 10 and data[end - 2] == 10:
        end -= 1
    return end


def _with_comments(data: bytes, start: int, indent: int) -> int:
    """Up over the comments and attributes directly above."""
    while start > 0:
        position = data.rfind(b"\n", 0, start - 1) + 1
        line = data[position : start - 1]
        if _indent(line) != indent or not line.lstrip().startswith(_BELONGS_ABOVE):
            break
        start = position
    return start


def _balanced(language: str, piece: bytes) -> bool:
    """Whether nothing in the piece looks as if it began or ended in the middle of something."""
    if any(piece.count(left) != piece.count(right) for left, right in _PAIRS):
        return False
    if any(piece.count(quote) & 1 for quote in _QUOTES):
        return False
    if language == "ruby":
        return len(_RUBY_OPENS.findall(piece)) == len(_RUBY_ENDS.findall(piece))
    return language != "shell"  # its blocks have a dozen words


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


def _line(data: bytes, start: int) -> bytes:
    return data[start : _line_end(data, start)]


def _line_end(data: bytes, start: int) -> int:
    end = data.find(b"\n", start)
    return end if end >= 0 else len(data)


def _next(data: bytes, start: int) -> int:
    end = data.find(b"\n", start)
    return end + 1 if end >= 0 else len(data)


def _indent(line: bytes) -> int:
    return len(line) - len(line.lstrip(b" \t"))
