"""Changing one part of a suite's text and not a byte around it.

A path leads from the top by keys and places in lists: ("tests", 3, "vars", "prompt"). After every change the text is
read again and compared with what was meant: where that cannot be written so (an anchor that is used elsewhere, an
alias, two things on one line) it is refused and the text stays as it was.
"""

from __future__ import annotations

import copy as copying
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path as File
from typing import Any

import yaml

from lora_tui.verify.suites import nodes as suite_nodes
from lora_tui.verify.suites.yaml_text import end_of, flowing, line_end, line_start, quoted, written
from lora_tui.workspace.errors import BadInput

Path = tuple[str | int, ...]

_BY_HAND = "Change it in an editor."


def put(text: str, path: Path, value: Any) -> str:
    """Set the value at `path`; keys that are missing are added at the end. Raises BadInput."""
    return _checked(text, path, lambda data: _put(data, path, value), lambda: _set(text, path, value))


def insert(text: str, path: Path, place: int, value: Any) -> str:
    """Put an item into the list at `path`, at `place`; a missing list is begun. Raises BadInput."""

    def change(data: Any) -> None:
        items = _get(data, path)
        if items is not None and not isinstance(items, list):
            raise BadInput("nothing can be put there: it is no list", where=".".join(map(str, path)), fix=_BY_HAND)
        _put(data, path, [*(items or [])[:place], value, *(items or [])[place:]])

    return _checked(text, path, change, lambda: _insert(text, path, place, value))


def remove(text: str, path: Path) -> str:
    """Take out a key with its value, or an item of a list. Raises BadInput."""

    def change(data: Any) -> None:
        del _get(data, path[:-1])[path[-1]]

    return _checked(text, path, change, lambda: _remove(text, path))


def copy(text: str, path: Path) -> str:
    """Put a copy of an item of a list behind it, with its comments. Raises BadInput."""
    above, place = path[:-1], int(path[-1])
    value = _get(plain(text), path)

    def change(data: Any) -> None:
        _get(data, above).insert(place + 1, copying.deepcopy(value))

    try:
        return _checked(text, path, change, lambda: _copy(text, path))
    except BadInput:
        return insert(text, above, place + 1, value)


def plain(text: str) -> Any:
    """The plain data of a text. Raises BadInput."""
    root = suite_nodes.composed(text, File("the suite"))
    return {} if root is None else suite_nodes.data(root)


def _checked(text: str, path: Path, change: Callable[[Any], None], edit: Callable[[], str]) -> str:
    meant = plain(text)
    change(meant)
    try:
        after = edit()
        if plain(after) == meant:
            return after
    except (BadInput, yaml.YAMLError, LookupError):
        pass
    node = _found(text, path)[-1]
    line = f"line {node.start_mark.line + 1}" if node is not None else ""
    raise BadInput("this is written in a way that cannot be changed here", where=line, fix=_BY_HAND)


def _get(data: Any, path: Path) -> Any:
    for key in path:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
        else:
            return None
    return data


def _put(data: Any, path: Path, value: Any) -> None:
    for key, following in pairwise(path):
        if isinstance(data, dict) and not isinstance(data.get(key), dict | list):
            data[key] = {}
        data = data[key]
        if not isinstance(data, dict | list) or isinstance(data, list) != isinstance(following, int):
            raise BadInput("nothing can be put there", where=".".join(map(str, path)), fix=_BY_HAND)
    data[path[-1]] = value


def _found(text: str, path: Path) -> list[yaml.Node | None]:
    """The nodes along a path, from the top; from the first that is missing on, nothing but one None."""
    root = suite_nodes.composed(text, File("the suite"))
    nodes: list[yaml.Node | None] = [root]
    for key in path:
        above = nodes[-1]
        inner: yaml.Node | None = None
        if isinstance(above, yaml.MappingNode):
            inner = next((value for name, value in above.value if name.value == key), None)
        elif isinstance(above, yaml.SequenceNode) and isinstance(key, int) and key < len(above.value):
            inner = above.value[key]
        nodes.append(inner)
        if inner is None:
            break
    return nodes


def _flow(nodes: list[yaml.Node | None]) -> int:
    """How many steps down the first list or mapping in brackets stands; -1 without one."""
    for depth, node in enumerate(nodes):
        if isinstance(node, yaml.CollectionNode) and node.flow_style:
            return depth
    return -1


def _set(text: str, path: Path, value: Any) -> str:
    nodes = _found(text, path)
    depth = _flow(nodes[:-1])
    if depth >= 0:
        return _again(text, nodes, path, depth, lambda data: _put(data, path[depth:], value))
    node = nodes[-1]
    if node is None:
        above = nodes[-2]
        key = path[len(nodes) - 2]
        for name in reversed(path[len(nodes) - 1 :]):
            value = {name: value}
        if isinstance(above, yaml.ScalarNode) and above.tag.endswith(":null"):
            return _replaced(text, above, {key: value}, _indent(text, nodes))
        if not isinstance(above, yaml.MappingNode):
            raise LookupError(key)
        return _behind(
            text, end_of(text, above), [f"{key}:" + written(value)[0], *written(value)[1:]], above.start_mark.column
        )
    return _replaced(text, node, value, _indent(text, nodes))


def _indent(text: str, nodes: list[yaml.Node | None]) -> int:
    """The column of the key whose value the last node is, or of the dash of the item."""
    above = next(node for node in reversed(nodes[:-1]) if node is not None)
    return above.start_mark.column


def _replaced(text: str, node: yaml.Node, value: Any, indent: int) -> str:
    start, end = node.start_mark.index, end_of(text, node)
    if isinstance(value, str) and "\n" not in value and isinstance(node, yaml.ScalarNode) and node.style in ("'", '"'):
        return text[:start] + quoted(value, node) + text[end:]
    first, *more = written(value)
    rest = text[end : line_end(text, end)].rstrip("\n")
    pad = " " * indent
    body = "".join(f"\n{pad}{line}" if line else "\n" for line in more)
    lead, between = text[:start].rstrip(" "), ""
    if isinstance(node, yaml.CollectionNode) and lead.endswith("\n"):
        found = re.search(r"(?:\s*\n[ \t]*#[^\n]*)*\s*\Z", lead)
        if found:
            lead, between = lead[: found.start()], found[0].rstrip()
    return lead + first + rest + body + between + text[end + len(rest) :]


def _behind(text: str, at: int, lines: list[str], indent: int) -> str:
    """Put lines of their own behind the line in which `at` stands."""
    at = line_end(text, at)
    pad = " " * indent
    head = "" if text[:at].endswith("\n") or not at else "\n"
    return text[:at] + head + "".join(f"{pad}{line}\n" if line else "\n" for line in lines) + text[at:]


def _again(text: str, nodes: list[yaml.Node | None], path: Path, depth: int, change: Callable[[Any], None]) -> str:
    """Write the brackets that a change is in once more."""
    node = nodes[depth]
    if node is None:
        raise LookupError(depth)
    data = suite_nodes.data(node)
    change(data)
    return text[: node.start_mark.index] + flowing(data) + text[node.end_mark.index :]


def _insert(text: str, path: Path, place: int, value: Any) -> str:
    nodes = _found(text, path)
    node = nodes[-1]
    depth = _flow(nodes)
    if depth >= 0:
        items = _get(plain(text), path) or []
        whole = [*items[:place], value, *items[place:]]
        if depth == len(path) and not items and _flow(nodes[:-1]) < 0:
            return _replaced(text, nodes[-1], whole, _indent(text, nodes))  # type: ignore[arg-type]
        if depth == len(path):
            return text[: node.start_mark.index] + flowing(whole) + text[node.end_mark.index :]  # type: ignore[union-attr]
        return _again(text, nodes, path, depth, lambda data: _put(data, path[depth:], whole))
    if not isinstance(node, yaml.SequenceNode):
        return _set(text, path, [value])
    return _put_item(text, node, place, _item(value))


def _item(value: Any) -> list[str]:
    """The lines of an item, from its dash."""
    return [line.removeprefix("  ") for line in written([value])[1:]]


def _put_item(text: str, node: yaml.SequenceNode, place: int, lines: list[str]) -> str:
    """Put the lines of an item into a list, apart from its neighbours by an empty line where they are so too."""
    column = node.start_mark.column
    spaced = len(node.value) > 1 and _gap(text, node)
    if place:
        return _behind(text, end_of(text, node.value[place - 1]), [*([""] if spaced else []), *lines], column)
    at = line_start(text, node.start_mark.index)
    pad = " " * column
    return (
        text[:at]
        + "".join(f"{pad}{line}\n" if line else "\n" for line in [*lines, *([""] if spaced else [])])
        + text[at:]
    )


def _gap(text: str, node: yaml.SequenceNode) -> bool:
    first, second = node.value[:2]
    return "\n\n" in text[end_of(text, first) : second.start_mark.index]


def _lines_of(text: str, node: yaml.SequenceNode, place: int) -> tuple[int, int]:
    """Where the lines of an item begin and end. Raises LookupError when it shares them with another."""
    item = node.value[place]
    dash = text.rfind("-", 0, item.start_mark.index)
    start = line_start(text, dash)
    if text[start:dash].strip() or dash - start != node.start_mark.column:
        raise LookupError(dash)
    return start, line_end(text, end_of(text, item))


def _remove(text: str, path: Path) -> str:
    nodes = _found(text, path)
    above, key = nodes[-2], path[-1]
    depth = _flow(nodes[:-1])
    if depth >= 0:
        return _again(text, nodes, path, depth, lambda data: _get(data, path[depth:-1]).__delitem__(key))
    if isinstance(above, yaml.SequenceNode) and isinstance(key, int):
        if len(above.value) == 1:
            return _set(text, path[:-1], [])
        start, end = _lines_of(text, above, key)
        if text[:start].endswith("\n\n") and (text[end : end + 1] in ("", "\n")):
            start -= 1
        return text[:start] + text[end:]
    if not isinstance(above, yaml.MappingNode):
        raise LookupError(key)
    names = [name for name, _ in above.value]
    place = next((number for number, name in enumerate(names) if name.value == key), None)
    if place is None:  # it comes from an anchor, by `<<`
        raise LookupError(key)
    start = names[place].start_mark.index
    end = line_end(text, end_of(text, above.value[place][1]))
    if text[line_start(text, start) : start].strip():  # the first key of an item, behind its dash
        return text[:start] + text[names[place + 1].start_mark.index :]
    return text[: line_start(text, start)] + text[end:]


def _copy(text: str, path: Path) -> str:
    nodes = _found(text, path)
    above, place = nodes[-2], int(path[-1])
    if not isinstance(above, yaml.SequenceNode) or _flow(nodes[:-1]) >= 0:
        raise LookupError(place)
    start, end = _lines_of(text, above, place)
    pad = above.start_mark.column
    lines = [line[pad:] if line[:pad].strip() == "" else line for line in text[start:end].rstrip("\n").split("\n")]
    return _put_item(text, above, place + 1, lines)
