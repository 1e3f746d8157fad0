"""Where the parts of a YAML text stand, and how a value is written into it in the text's own style.

PyYAML writes only whole documents, without their comments; ruamel.yaml keeps comments and rewrites quotes and line
lengths all over the file. So values are written by PyYAML's emitter and put between the bytes that stay.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from lora_tui.verify.suites.nodes import SCALARS

_WIDE = 1_000_000  # no line is folded


class _Dumper(yaml.SafeDumper):
    """Lists under their key are indented, texts of several lines stand as such; what YAML 1.1 or 1.2 would take for
    another type is quoted."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Never at the height of the key."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """A value that is there twice is written twice."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    block = "\n" in value and not value.endswith("\n\n")  # what keeps more line breaks takes those of the file along
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if block else None)


_Dumper.add_representer(str, _text)
for _name, _pattern, _first in SCALARS:
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _pattern, _first)


def written(value: Any) -> list[str]:
    """The lines of a value as they stand behind `key:`; the first begins behind the colon, the others at the key."""
    lines = yaml.dump({"k": value}, Dumper=_Dumper, width=_WIDE, sort_keys=False, allow_unicode=True).split("\n")[:-1]
    return [lines[0].removeprefix("k:"), *lines[1:]]


def flowing(value: Any) -> str:
    """A value on one line, lists in [] and mappings in {}."""
    dumped = yaml.dump(
        [value], Dumper=_Flowing, width=_WIDE, sort_keys=False, allow_unicode=True, default_flow_style=True
    )
    return dumped.rstrip("\n")[1:-1]


class _Flowing(_Dumper):
    """Texts on one line."""


_Flowing.add_representer(str, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:str", value))


def quoted(value: str, like: yaml.ScalarNode) -> str:
    """A text on one line in the quotes of another, where those can hold it."""
    if like.style == "'" and "\n" not in value and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if like.style == '"' and value.isprintable():
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return written(value)[0].strip()


def end_of(text: str, node: yaml.Node) -> int:
    """The offset behind the last character of a node: PyYAML's mark of a block is where the next thing begins."""
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.ScalarNode):
        return start + len(text[start:end].rstrip()) if node.style in ("|", ">") else end
    if not isinstance(node, yaml.CollectionNode) or node.flow_style:
        return end
    parts = [item for pair in node.value for item in pair] if isinstance(node, yaml.MappingNode) else node.value
    inside = [item for item in parts if start <= item.start_mark.index and item.end_mark.index <= end]
    if inside and inside[-1] is parts[-1]:
        return end_of(text, inside[-1])
    return start + len(re.sub(r"(\s+|[ \t]#[^\n]*|^#[^\n]*)+\Z", "", text[start:end], flags=re.M))  # ends in an alias


def line_start(text: str, at: int) -> int:
    """The offset of the first character of a line."""
    return text.rfind("\n", 0, at) + 1


def line_end(text: str, at: int) -> int:
    """The offset behind the line of an offset, its line break included."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1
