"""The functions, methods, types and test cases of a file, and which of them encloses a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from lora_tui.sources.code.grammar import grammar_of, parse, query
from lora_tui.sources.code.lines import Lines
from lora_tui.sources.code.quality import quality
from lora_tui.sources.code.shapes import ATTRIBUTES, COMMENTS, PATTERNS, WRAPPERS

if TYPE_CHECKING:
    from tree_sitter import Node, Tree

Kind = Literal["function", "method", "type", "module", "test"]


class Definition(msgspec.Struct, frozen=True):
    """One definition. Bytes are offsets into the file's UTF-8 text, lines count from 1, ends are exclusive for bytes
    and inclusive for lines. Decorators, attributes and `export` are part of it; a doc comment before it is not.
    """

    name: str
    kind: Kind
    parent: str  # the types around it, outermost first, joined by '.'; '' at the top
    start: int
    end: int
    first_line: int
    last_line: int
    doc_start: int  # where its doc comment begins; `start` without one
    doc_line: int
    doc: str  # the doc comment or docstring as written
    signature: str  # what stands before its body, without doc
    body_start: int  # `end` when there is no body
    sound: bool  # nothing in it failed to parse

    @property
    def lines(self) -> int:
        """How many lines it takes, its doc comment not counted."""
        return self.last_line - self.first_line + 1


def definitions(code: bytes, language: str, path: str = "", tree: Tree | None = None) -> list[Definition]:
    """Every definition in the order of their places, outer before inner; [] for a language without a grammar.

    `path` only tells JSX from plain TypeScript; `tree` saves parsing when the caller has parsed already.
    """
    grammar = grammar_of(language, path)
    if not grammar:
        return []
    from tree_sitter import QueryCursor

    tree = tree or parse(grammar, code)
    lines = Lines(code)
    matches = QueryCursor(query(grammar, PATTERNS[grammar])).matches(tree.root_node)
    nodes = [
        (node, kind)
        for _, captured in matches  # `captures` also gives those of patterns that did not match in the end
        for kind, taken in captured.items()
        if not kind.startswith("_")
        for node in taken
    ]
    nodes.sort(key=lambda item: (item[0].start_byte, -item[0].end_byte))
    found: list[Definition] = []
    around: list[tuple[int, str, str]] = []  # (end, kind, name) of the definitions this one lies in
    for node, kind in nodes:
        while around and around[-1][0] <= node.start_byte:
            around.pop()
        definition = _definition(code, lines, node, kind, around, language)
        around.append((node.end_byte, kind, definition.name))
        found.append(definition)
    return found


def enclosing(found: Sequence[Definition], first_line: int, last_line: int) -> Definition | None:
    """The smallest of these definitions that holds all lines from first_line to last_line (counted from 1)."""
    around = [one for one in found if one.doc_line <= first_line and last_line <= one.last_line]
    return min(around, key=lambda one: one.end - one.start, default=None)


def _definition(
    code: bytes, lines: Lines, node: Node, kind: str, around: Sequence[tuple[int, str, str]], language: str
) -> Definition:
    whole = node.parent if node.parent is not None and node.parent.type in WRAPPERS else node
    inner = _inner(node)
    body = inner.child_by_field_name("body") or inner.child_by_field_name("computed_value")
    first, docs = _before(lines, whole)
    parents = [name for _, of, name in around if of in ("type", "module")]
    if kind == "function" and parents and around[-1][1] == "type":
        kind = "method"
    doc = b"\n".join(code[one.start_byte : one.end_byte].rstrip() for one in docs)
    if language == "python" and not docs:
        doc = _docstring(code, body)
    return Definition(
        name=_name(code, node, inner),
        kind=_kind(kind),
        parent=".".join(parents),
        start=first.start_byte,
        end=whole.end_byte,
        first_line=lines.at(first.start_byte),
        last_line=_last(lines, whole),
        doc_start=docs[0].start_byte if docs else first.start_byte,
        doc_line=lines.at((docs[0] if docs else first).start_byte),
        doc=doc.decode(errors="replace"),
        signature=_signature(code, whole, inner, body),
        body_start=body.start_byte if body is not None else whole.end_byte,
        sound=quality(node).sound(language),
    )


def _kind(kind: str) -> Kind:
    match kind:
        case "function" | "method" | "type" | "module" | "test":
            return kind
    raise ValueError(f"{kind} is no kind of definition")


def _inner(node: Node) -> Node:
    """The node that has the parameters and the body: of `const f = () => …` the arrow function."""
    for child in node.named_children:
        if child.type in ("variable_declarator", "assignment_expression"):
            return child.child_by_field_name("value") or child.child_by_field_name("right") or node
    value = node.child_by_field_name("value")
    return value if value is not None and value.type in ("arrow_function", "function_expression") else node


def _name(code: bytes, node: Node, inner: Node) -> str:
    named = node.child_by_field_name("name") or node.child_by_field_name("key")
    if node.type == "impl_item":
        named = node.child_by_field_name("type")
    elif node.type == "init_declaration":
        return "init"
    for child in node.named_children if named is None else ():
        named = child.child_by_field_name("name") or child.child_by_field_name("left") or named
        if child.type in ("argument_list", "arguments"):
            named = child.named_children[0]
        elif child.type == "call_expression":
            arguments = child.child_by_field_name("arguments")
            named = arguments.named_children[0] if arguments is not None and arguments.named_children else None
        if named is not None:
            break
    text = code[named.start_byte : named.end_byte].decode(errors="replace") if named is not None else ""
    return " ".join(text.split()).strip("'\"`")


def _before(lines: Lines, node: Node) -> tuple[Node, list[Node]]:
    """The first node of a definition, attributes included, and the comment lines directly above it."""
    docs: list[Node] = []
    first = at = node
    above = _siblings_above(node)
    for index, sibling in enumerate(above):
        if _last(lines, sibling) + 1 < lines.at(at.start_byte):
            break
        if sibling.type in ATTRIBUTES and not docs:
            first = sibling
        elif sibling.type in COMMENTS and (  # a comment behind code speaks about that code
            index + 1 == len(above) or _last(lines, above[index + 1]) < lines.at(sibling.start_byte)
        ):
            docs.insert(0, sibling)
        else:
            break
        at = sibling
    return first, docs


def _siblings_above(node: Node) -> list[Node]:
    """The siblings before it, nearest first; in a Ruby class, whose first comment stands before the body, those too."""
    parent = node.parent
    if parent is None:
        return []
    above = [one for one in parent.children if one.end_byte <= node.start_byte]
    above.reverse()
    if not above and parent.type == "body_statement":
        return _siblings_above(parent)
    return above


def _last(lines: Lines, node: Node) -> int:
    return lines.last(node.start_byte, node.end_byte)


def _docstring(code: bytes, body: Node | None) -> bytes:
    first = body.named_children[0] if body is not None and body.named_children else None
    if first is None or first.type != "expression_statement" or first.named_children[0].type != "string":
        return b""
    return code[first.start_byte : first.end_byte]


def _signature(code: bytes, whole: Node, inner: Node, body: Node | None) -> str:
    end = body.start_byte if body is not None else whole.end_byte
    if whole.type in ("method", "singleton_method", "class", "module"):  # Ruby: comments may stand before the body
        fields = [inner.child_by_field_name(name) for name in ("name", "superclass", "parameters")]
        end = max((field.end_byte for field in fields if field is not None), default=end)
    text = code[whole.start_byte : end].decode(errors="replace").rstrip()
    if body is None and whole.type not in ("method", "singleton_method"):
        text = text.split("\n", 1)[0]
    return text.removesuffix("{").removesuffix("=>").removesuffix(":").rstrip()
