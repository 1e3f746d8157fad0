"""Which names a piece of code takes from outside: what it calls and refers to but does not define itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lora_tui.sources.code.grammar import grammar_of, parse

if TYPE_CHECKING:
    from tree_sitter import Node

_NAMES = {
    "identifier",
    "constant",
    "type_identifier",
    "simple_identifier",
    "field_identifier",
    "property_identifier",
    "shorthand_property_identifier",
    "shorthand_property_identifier_pattern",
    "word",
    "variable_name",
}

# (node that holds the name, field or None for any): there a name is of something else's inside, or is being defined
_MEMBER_FIELDS = {
    ("call", "method"): "receiver",  # Ruby: a.b is b of a, but b(1) is a name from outside
    ("attribute", "attribute"): "",
    ("member_expression", "property"): "",
    ("field_expression", "field"): "",
    ("selector_expression", "field"): "",
    ("navigation_suffix", "suffix"): "",
    ("keyword_argument", "name"): "",
    ("value_argument_label", None): "",
    ("pair", "key"): "",
    ("field_initializer", "field"): "",
    ("scoped_identifier", "name"): "",
    ("scoped_type_identifier", "name"): "",
    ("scope_resolution", "name"): "scope",
    ("hash_key_symbol", None): "",
}

_DEFINES = {
    ("assignment", "left"),
    ("operator_assignment", "left"),
    ("left_assignment_list", None),
    ("named_expression", "name"),
    ("for_statement", "left"),
    ("for_statement", "variable"),
    ("for_in_clause", "left"),
    ("for_in_statement", "left"),
    ("for", "pattern"),
    ("variable_declarator", "name"),
    ("let_declaration", "pattern"),
    ("tuple_pattern", None),
    ("tuple_struct_pattern", None),
    ("array_pattern", None),
    ("object_pattern", None),
    ("shorthand_property_identifier_pattern", None),
    ("pattern_list", None),
    ("pattern", None),
    ("short_var_declaration", "left"),
    ("expression_list", None),
    ("range_clause", "left"),
    ("parameter", None),
    ("parameters", None),
    ("parameter_declaration", "name"),
    ("formal_parameters", None),
    ("required_parameter", "pattern"),
    ("optional_parameter", None),
    ("default_parameter", "name"),
    ("typed_parameter", None),
    ("typed_default_parameter", "name"),
    ("closure_parameters", None),
    ("keyword_parameter", "name"),
    ("splat_parameter", "name"),
    ("hash_splat_parameter", "name"),
    ("block_parameter", "name"),
    ("block_parameters", None),
    ("method_parameters", None),
    ("lambda_parameters", None),
    ("lambda_parameter", "name"),
    ("destructured_parameter", None),
    ("exception_variable", None),
    ("as_pattern_target", None),
    ("arrow_function", "parameter"),
    ("catch_clause", "parameter"),
    ("variable_assignment", "name"),
    ("type_parameter", None),
    ("captured_pattern", None),
    ("match_pattern", None),
    ("const_spec", "name"),
    ("var_spec", "name"),
}

_SAYS_NO_NAMES = {"attribute_item", "availability_condition"}

_DECLARATIONS = ("_item", "_declaration", "_definition", "method", "class", "module", "_spec", "_signature")


def outside_names(code: bytes, language: str, path: str = "", start: int = 0, end: int | None = None) -> set[str]:
    """The names that code[start:end] uses and neither binds nor reaches through a dot.

    Built-in ones are among them; a name bound anywhere in the range counts as its own everywhere in it.
    """
    grammar = grammar_of(language, path)
    if not grammar:
        return set()
    end = len(code) if end is None else end
    used: set[str] = set()
    bound: set[str] = set()
    root = parse(grammar, code).root_node
    stack: list[tuple[Node, Node | None, str | None]] = [(_around(root, start, end), None, None)]
    while stack:
        node, parent, field = stack.pop()
        if node.end_byte <= start or node.start_byte >= end or node.type in _SAYS_NO_NAMES:
            continue
        if not node.child_count:
            if node.type in _NAMES and start <= node.start_byte and node.end_byte <= end:
                name = code[node.start_byte : node.end_byte].decode(errors="replace")
                match _role(node, parent, field):
                    case "bound":
                        bound.add(name)
                    case "used":
                        used.add(name)
            continue
        for index, child in enumerate(node.children):
            stack.append((child, node, node.field_name_for_child(index)))
    return used - bound


def _around(root: Node, start: int, end: int) -> Node:
    return root.descendant_for_byte_range(start, max(start, end - 1)) or root


def _role(node: Node, parent: Node | None, field: str | None) -> str:
    if parent is None:
        return "used"
    for key in ((parent.type, field), (parent.type, None)):
        if key in _DEFINES:
            return "bound"
        if key in _MEMBER_FIELDS:
            needs = _MEMBER_FIELDS[key]
            return "member" if not needs or parent.child_by_field_name(needs) is not None else "used"
    first = parent.children[0]
    if (parent.type == "prefix_expression" and first.type == ".") or (parent.type == "user_type" and first != node):
        return "member"  # Swift: `.red`, and Bar of Foo.Bar
    if field == "name" and parent.type.endswith(_DECLARATIONS):
        return "bound"
    return "member" if node.type in ("field_identifier", "property_identifier") else "used"
