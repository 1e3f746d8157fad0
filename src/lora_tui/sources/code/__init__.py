"""Source code as trees: which functions and types a file has, whether it parses, which names it uses.

The only room that knows tree-sitter.
"""
