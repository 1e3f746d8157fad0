"""How each grammar writes functions, types and test cases: patterns in tree-sitter's query language.

Capture names are kinds of definitions; those beginning with `_` only help the pattern.
"""

from __future__ import annotations

_ECMASCRIPT = """
(function_declaration) @function
(generator_function_declaration) @function
(method_definition) @function
(lexical_declaration (variable_declarator value: [(arrow_function) (function_expression)])) @function
(expression_statement (assignment_expression
    left: (member_expression) right: [(arrow_function) (function_expression)])) @function
(pair value: [(arrow_function) (function_expression)]) @function
(class_declaration) @type
((expression_statement (call_expression function: (identifier) @_word
    arguments: (arguments . [(string) (template_string)] [(arrow_function) (function_expression)]))) @test
    (#any-of? @_word "it" "test" "describe"))
"""

_TYPESCRIPT = (
    _ECMASCRIPT
    + """
(public_field_definition value: [(arrow_function) (function_expression)]) @function
(abstract_class_declaration) @type
(interface_declaration) @type
(type_alias_declaration) @type
(enum_declaration) @type
(internal_module) @module
"""
)

PATTERNS = {
    "rust": """
        (function_item) @function
        (macro_definition) @function
        (struct_item) @type
        (enum_item) @type
        (union_item) @type
        (trait_item) @type
        (impl_item) @type
        (mod_item body: (_)) @module
    """,
    "typescript": _TYPESCRIPT,
    "tsx": _TYPESCRIPT,
    "javascript": _ECMASCRIPT + "(field_definition value: [(arrow_function) (function_expression)]) @function",
    "python": "(function_definition) @function (class_definition) @type",
    "ruby": """
        (method) @function
        (singleton_method) @function
        (class) @type
        (module) @type
        ((call !receiver method: (identifier) @_word arguments: (_) block: (_)) @test
            (#any-of? @_word "it" "specify" "describe" "context" "test"))
    """,
    "swift": """
        (function_declaration) @function
        (init_declaration) @function
        (property_declaration computed_value: (_)) @function
        (class_declaration) @type
        (protocol_declaration) @type
    """,
    "go": "(function_declaration) @function (method_declaration) @function (type_declaration) @type",
    "shell": "(function_definition) @function",
}

# What stands around a definition and belongs to it: `export`, decorators.
WRAPPERS = {"export_statement", "decorated_definition"}

# Siblings before a definition that belong to it.
ATTRIBUTES = {"attribute_item", "decorator", "attribute"}

COMMENTS = {"comment", "line_comment", "block_comment", "multiline_comment"}
