"""Whether code parses: a share of text that did not, with a threshold, because no grammar knows all of its language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lora_tui.sources.code.grammar import grammar_of, parse

if TYPE_CHECKING:
    from tree_sitter import Node

LARGEST_ERROR_SHARE = 0.005  # of the bytes; on good files Swift's grammar goes over it in 1 of 200

# Its grammar puts MISSING nodes into good code such as `succeed(())`: they say nothing there.
_MISSING_MEANS_NOTHING = {"swift"}


class Quality(msgspec.Struct, frozen=True):
    """How well some code parsed."""

    errors: int  # bytes inside ERROR nodes
    missing: int  # tokens the parser had to make up
    size: int  # bytes

    @property
    def error_share(self) -> float:
        """Which part of the text did not parse, from 0 to 1."""
        return self.errors / self.size if self.size else 0.0

    def sound(self, language: str) -> bool:
        """Whether this may be taken as code of `language` that parses."""
        tolerant = language in _MISSING_MEANS_NOTHING
        return self.error_share <= LARGEST_ERROR_SHARE and (tolerant or not self.missing)


def quality(node: Node) -> Quality:
    """Count what did not parse below `node`. Only damaged branches are entered."""
    errors = missing = 0
    stack = [node]
    while stack:
        one = stack.pop()
        if one.is_error:
            errors += one.end_byte - one.start_byte
        elif one.is_missing:
            missing += 1
        elif one.has_error:
            stack += one.children
    return Quality(errors, missing, node.end_byte - node.start_byte)


def parses(code: bytes, language: str, path: str = "") -> bool | None:
    """Whether a whole file parses; None for a language without a grammar."""
    grammar = grammar_of(language, path)
    return quality(parse(grammar, code).root_node).sound(language) if grammar else None
