"""YAML as promptfoo reads it, in nodes that know their file and line.

promptfoo reads with js-yaml, whose scalars are those of YAML 1.2: `yes`, `on` and `12:30` are texts, `010` is ten.
`$ref: '#/name'` stands for what is at that place of the same file (JSON Reference), as in its `assertionTemplates`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from lora_tui.workspace.errors import BadInput

_TAG = "tag:yaml.org,2002:"
_REFERENCE = "$ref"
SCALARS = (
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("int", re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")),
    (
        "float",
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        list("-+0123456789."),
    ),
    ("merge", re.compile(r"^<<$"), ["<"]),
)


class _Loader(yaml.SafeLoader):
    """The scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}


def _int(loader: yaml.SafeLoader, node: yaml.Node) -> int:
    text = str(node.value)
    return int(text) if text.lstrip("+-").isdigit() else int(text, 0)


for _name, _pattern, _first in SCALARS:
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, _first)
_Loader.add_constructor(_TAG + "int", _int)


def read(path: Path, text: str | None = None) -> yaml.Node | None:
    """The only document of a YAML or JSON file, its references resolved; None for an empty file.

    text: what is to stand there, instead of what does. Raises BadInput, with the line where it is known.
    """
    try:
        root = composed(path.read_text(encoding="utf-8") if text is None else text, path)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the suite: {error}", where=str(path)) from error
    if root is not None:
        _resolve(root, root, {})
    return root


def composed(text: str, path: Path) -> yaml.Node | None:
    """The only document of a text as it stands, whose nodes say they are of `path`. Raises BadInput."""
    try:
        loader = _Loader(text)
        loader.name = str(path)  # of the marks
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise BadInput(f"not valid YAML: {error.problem}", where=f"{path}:{line}") from error
    except (yaml.YAMLError, RecursionError) as error:  # a character that YAML does not allow; nesting without end
        raise BadInput(f"not valid YAML: {error}", where=str(path)) from error


def of(value: Any, path: Path, line: int) -> yaml.Node:
    """Plain data as nodes that say they stand at a line (from 1) of a file."""
    mark = yaml.Mark(str(path), 0, line - 1, 0, None, 0)
    if isinstance(value, dict):
        pairs = [(of(str(name), path, line), of(item, path, line)) for name, item in value.items()]
        return yaml.MappingNode(_TAG + "map", pairs, mark, mark)
    if isinstance(value, list):
        return yaml.SequenceNode(_TAG + "seq", [of(item, path, line) for item in value], mark, mark)
    kinds = {bool: "bool", int: "int", float: "float", type(None): "null"}
    kind = kinds.get(type(value), "str")
    return yaml.ScalarNode(
        _TAG + kind, "" if value is None else str(value).lower() if kind == "bool" else str(value), mark, mark
    )


def data(node: yaml.Node) -> Any:
    """The plain data of a node. Raises BadInput for what YAML cannot make data of."""
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except (yaml.MarkedYAMLError, ValueError) as error:
        raise wrong(
            node, f"not valid YAML: {error.problem if isinstance(error, yaml.MarkedYAMLError) else error}"
        ) from error
    finally:
        loader.dispose()


def mapping(node: yaml.Node, known: set[str], what: str) -> dict[str, yaml.Node]:
    """The values of a mapping by key. Raises BadInput for a key that is not known, where it stands."""
    if not isinstance(node, yaml.MappingNode):
        raise wrong(node, f"{what} must be a mapping")
    loader = _Loader("")
    try:
        loader.flatten_mapping(node)  # `<<: *anchor`
    except yaml.MarkedYAMLError as error:
        raise wrong(node, f"not valid YAML: {error.problem}") from error
    finally:
        loader.dispose()
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value not in known:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            if name == _REFERENCE:
                raise wrong(key, f"no mapping is at {value.value!r} in this file")
            raise wrong(key, f"unknown key {name!r} in {what}; known: {', '.join(sorted(known))}")
        found[key.value] = value
    return found


def sequence(node: yaml.Node, what: str) -> list[yaml.Node]:
    """The items of a list. Raises BadInput."""
    if not isinstance(node, yaml.SequenceNode):
        raise wrong(node, f"`{what}` must be a list")
    return list(node.value)


def options(fields: dict[str, yaml.Node], name: str) -> dict[str, Any]:
    """The plain mapping at `name`, empty without one. Raises BadInput."""
    value = data(fields[name]) if name in fields else None
    if value is not None and not isinstance(value, dict):
        raise wrong(fields[name], f"`{name}` must be a mapping")
    return {str(key): item for key, item in (value or {}).items()}


def number(fields: dict[str, yaml.Node], name: str) -> float | None:
    """The number at `name`, None without one. Raises BadInput."""
    if name not in fields:
        return None
    value = data(fields[name])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(fields[name], f"`{name}` must be a number")
    return float(value)


def text(fields: dict[str, yaml.Node], name: str) -> str:
    """The text at `name`, empty without one."""
    return str(data(fields[name])) if name in fields else ""


def wrong(node: yaml.Node, what: str) -> BadInput:
    """The mistake at a node, with its file and line."""
    return BadInput(what, where=f"{node.start_mark.name}:{node.start_mark.line + 1}")


def _resolve(node: yaml.Node, root: yaml.Node, seen: dict[int, bool]) -> None:
    """Put what a `$ref` names in its place, in every mapping under a node. Raises BadInput.

    seen: whether a node, by its id, is still being worked on.
    """
    if id(node) in seen:
        if seen[id(node)]:
            raise wrong(node, "this refers to itself")
        return
    seen[id(node)] = True
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _resolve(item, root, seen)
    elif isinstance(node, yaml.MappingNode):
        _distinct(node)
        target = _named(node, root)
        if target is not None:
            _resolve(target, root, seen)
            node.value = [*target.value, *(pair for pair in node.value if pair[0].value != _REFERENCE)]
        for _, item in node.value:
            _resolve(item, root, seen)
    seen[id(node)] = False


def _distinct(node: yaml.MappingNode) -> None:
    """Refuse a key that stands twice in a mapping: only one of its values would count."""
    names: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value in names and key.tag != f"{_TAG}merge":
            raise wrong(key, f"the key {key.value!r} stands here twice")
        names.add(str(key.value))


def _named(node: yaml.MappingNode, root: yaml.Node) -> yaml.MappingNode | None:
    """The mapping that `$ref` names; None without one, or when it names nothing in this file."""
    place = next((str(value.value) for key, value in node.value if key.value == _REFERENCE), "")
    found: yaml.Node | None = root if place.startswith("#/") else None
    for name in place.removeprefix("#/").split("/"):
        inner = found.value if isinstance(found, yaml.MappingNode) else []
        found = next((value for key, value in inner if key.value == name), None)
    return found if isinstance(found, yaml.MappingNode) else None
