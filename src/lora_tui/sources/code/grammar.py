"""The parser of each language. A grammar is loaded when its language is first parsed."""

from __future__ import annotations

import importlib
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Parser, Query, Tree

# grammar -> (module, function that gives the language); `shell` is what the rest of lora-tui calls bash
GRAMMARS = {
    "rust": ("tree_sitter_rust", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "javascript": ("tree_sitter_javascript", "language"),
    "python": ("tree_sitter_python", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "swift": ("tree_sitter_swift", "language"),
    "go": ("tree_sitter_go", "language"),
    "shell": ("tree_sitter_bash", "language"),
}


def known(language: str) -> bool:
    """Whether code in this language can be parsed."""
    return language in GRAMMARS


def grammar_of(language: str, path: str = "") -> str:
    """The grammar for a file: TypeScript has one more for files with JSX. '' for a language without a grammar."""
    if language == "typescript" and path.endswith(".tsx"):
        return "tsx"
    return language if language in GRAMMARS else ""


@cache
def _language(grammar: str) -> Language:
    from tree_sitter import Language

    module, function = GRAMMARS[grammar]
    return Language(getattr(importlib.import_module(module), function)())


@lru_cache(maxsize=4)  # one file is asked for its definitions, their names and their tokens one after the other
def parse(grammar: str, code: bytes) -> Tree:
    """The syntax tree of UTF-8 code; wrong code gives one too, with ERROR nodes. Raises KeyError without a grammar."""
    return parser(grammar).parse(code)


def parser(grammar: str) -> Parser:
    """A parser of its own, for who parses one version of a file after the other. Raises KeyError without a grammar."""
    from tree_sitter import Parser

    return Parser(_language(grammar))


@cache
def query(grammar: str, pattern: str) -> Query:
    """A compiled search pattern of tree-sitter's query language."""
    from tree_sitter import Query

    return Query(_language(grammar), pattern)
