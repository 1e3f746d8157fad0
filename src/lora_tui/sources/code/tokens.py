"""The words and signs of code without its comments: what two texts have to share to be called a copy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lora_tui.sources.code.grammar import grammar_of, parse
from lora_tui.sources.code.shapes import COMMENTS

if TYPE_CHECKING:
    from tree_sitter import Node

_TOKEN = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """Words and single signs of any text."""
    return _TOKEN.findall(text)


def tokens(code: bytes, language: str, path: str = "", start: int = 0, end: int | None = None) -> list[str]:
    """The tokens of code[start:end]; comments and docstrings are left out where the language has a grammar."""
    end = len(code) if end is None else end
    grammar = grammar_of(language, path)
    if not grammar:
        return words(code[start:end].decode(errors="replace"))
    root = parse(grammar, code).root_node
    found: list[str] = []
    at = start
    for first, last in sorted(_comments(root, start, end)):
        found += words(code[at : max(at, first)].decode(errors="replace"))
        at = max(at, last)
    return found + words(code[at:end].decode(errors="replace"))


def _comments(root: Node, start: int, end: int) -> list[tuple[int, int]]:
    """The ranges of comments and of strings that stand as a statement of their own."""
    found: list[tuple[int, int]] = []
    stack = [root]
    while stack:
        node = stack.pop()
        if node.end_byte <= start or node.start_byte >= end:
            continue
        children = node.children
        if node.type in COMMENTS or (node.type == "expression_statement" and _is_string(children)):
            found.append((node.start_byte, node.end_byte))
        else:
            stack += children
    return found


def _is_string(children: list[Node]) -> bool:
    return len(children) == 1 and children[0].type == "string"
