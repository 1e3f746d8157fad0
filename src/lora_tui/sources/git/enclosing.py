"""The whole functions and classes around changed lines, by tree-sitter.

A file is parsed anew only the first time: its other versions differ little, and tree-sitter reuses what is equal.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from typing import TYPE_CHECKING

from lora_tui.sources.code.grammar import parser

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Tree

# language -> the nodes that define something
_DEFINES = {
    "bash": ("function_definition",),
    "go": ("function_declaration", "method_declaration", "type_declaration"),
    "javascript": (
        "function_declaration",
        "generator_function_declaration",
        "method_definition",
        "class_declaration",
    ),
    "python": ("function_definition", "class_definition"),
    "ruby": ("method", "singleton_method", "class", "module", "singleton_class"),
    "rust": (
        "function_item",
        "struct_item",
        "enum_item",
        "trait_item",
        "impl_item",
        "mod_item",
        "macro_definition",
    ),
    "swift": ("function_declaration", "init_declaration", "class_declaration", "protocol_declaration"),
    "typescript": (
        "function_declaration",
        "method_definition",
        "class_declaration",
        "interface_declaration",
        "enum_declaration",
    ),
}
_GRAMMAR = {"bash": "shell"}  # where the name is another one
_AROUND = ("decorated_definition", "export_statement")  # belong to the definition inside them
_BELONGS_ABOVE = (b"#", b"//", b"/*", b"*", b"@", b"--")  # comments and attributes directly above a definition
_KEPT = 1_000_000  # bytes of source whose trees are kept; a tree takes about 15 times as much


class Trees:
    """Syntax trees of the files read last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[bytes, Tree]] = OrderedDict()
        self._size = 0

    def around(self, path: str, language: str, data: bytes, first: int, last: int, most: int) -> tuple[int, int] | None:
        """The lines of the definition around lines first … last - 1 (first == last: the gap before that line).

        The smallest definition; where that has more than `most` bytes the largest piece of syntax that has not. None
        without a grammar, or where nothing so small holds the lines: then the caller takes the lines around them.
        """
        key, grammar = _grammar(path, language)
        if not grammar:
            return None
        root = self._tree(path, key, data).root_node
        lines = _Lines(data)
        low, high = (first, last - 1) if last > first else (max(first - 1, 0), first)
        high = min(high, lines.last)
        node = root.descendant_for_point_range((low, lines.indent(low)), (high, lines.width(high)))
        definitions = _definitions(key)
        best: Node | None = None
        while node is not None and node.parent is not None:
            if node.end_byte - node.start_byte > most:
                break
            best = node
            if node.type in definitions:
                if node.parent.type in _AROUND:
                    best = node.parent
                break
            node = node.parent
        if best is None:
            return None
        start, _ = _point(data, best.start_byte)  # not the node's own points: see sources/code/lines.py
        end, column = _point(data, best.end_byte)
        end += 1 if column else 0
        while start > 0 and lines.text(start - 1).lstrip().startswith(_BELONGS_ABOVE):
            start -= 1
        return min(start, first), max(end, last)

    def in_error(self, path: str, language: str, data: bytes) -> float:
        """The share of the file's bytes that do not parse; 0 without a grammar."""
        key, grammar = _grammar(path, language)
        if not grammar or not data:
            return 0.0
        root = self._tree(path, key, data).root_node
        return _errors(root) / len(data) if root.has_error else 0.0

    def _tree(self, path: str, key: str, data: bytes) -> Tree:
        known = self._kept.pop(path, None)
        if known is not None and known[0] == data:
            self._kept[path] = known
            return known[1]
        parser = _parser(key)
        tree = parser.parse(data, _edited(known, data)) if known is not None else parser.parse(data)
        if known is not None:
            self._size -= len(known[0])
            if tree.root_node.has_error:  # what is reused then depends on what was read before
                tree = parser.parse(data)
        self._kept[path] = (data, tree)
        self._size += len(data)
        while self._size > _KEPT and len(self._kept) > 1:
            _, (old, _) = self._kept.popitem(last=False)
            self._size -= len(old)
        return tree


class _Lines:
    """Places of a text by line."""

    def __init__(self, data: bytes) -> None:
        self._lines = data.split(b"\n")
        self.last = len(self._lines) - 1

    def text(self, line: int) -> bytes:
        return self._lines[min(line, self.last)]

    def width(self, line: int) -> int:
        return len(self.text(line).rstrip())

    def indent(self, line: int) -> int:
        text = self.text(line)
        return len(text) - len(text.lstrip())


def _grammar(path: str, language: str) -> tuple[str, bool]:
    key = "tsx" if path.endswith(".tsx") else language
    return key, key == "tsx" or key in _DEFINES


@cache
def _parser(key: str) -> Parser:
    return parser(_GRAMMAR.get(key, key))


@cache
def _definitions(key: str) -> frozenset[str]:
    return frozenset(_DEFINES["typescript" if key == "tsx" else key])


def _edited(known: tuple[bytes, Tree], data: bytes) -> Tree:
    """The earlier tree, told where the two texts differ."""
    from lora_tui.sources.git.diff import same_ends

    old, tree = known
    head, tail = same_ends(old, data)
    end_old, end_new = len(old) - tail, len(data) - tail
    tree.edit(head, end_old, end_new, _point(old, head), _point(old, end_old), _point(data, end_new))
    return tree


def _point(data: bytes, position: int) -> tuple[int, int]:
    return data.count(b"\n", 0, position), position - data.rfind(b"\n", 0, position) - 1


def _errors(node: Node) -> int:
    """Bytes in ERROR nodes; a MISSING node has none."""
    if node.type == "ERROR":
        return node.end_byte - node.start_byte
    return sum(_errors(child) for child in node.children if child.has_error)
