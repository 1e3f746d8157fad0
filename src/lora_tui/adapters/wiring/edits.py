"""Changing one value of a JSONC text and not a byte around it, and taking such a change back."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from lora_tui.adapters.wiring.jsonc import Member, Node, parse, skip_on_line
from lora_tui.workspace.errors import BadInput

Path = tuple[str, ...]


class Edit(msgspec.Struct, frozen=True):
    """One value that was set at a path of keys, or (`item`) put into the array there."""

    path: Path
    after: Any
    before: Any = None
    existed: bool = False
    item: bool = False


def put(text: str, path: Path, value: Any, *, first: bool = False) -> tuple[str, list[Edit]]:
    """Set `value` at `path`; objects are merged key by key, what is not there is put at the end (or `first`).

    Returns the new text and what was done. Raises BadInput where something on the path is no object.
    """
    root = parse(text)
    if root is None:
        text += "{}" if text[-1:] in ("", "\n") else f"{_newline(text)}{{}}"
        root = parse(text)
    assert root is not None
    node = root
    for depth, key in enumerate(path):
        if node.kind != "object":
            raise BadInput(f"{'.'.join(path[:depth]) or 'the file'} is not an object", fix="Correct it by hand.")
        member = node.find(key)
        if member is None:
            whole = value
            for above in reversed(path[depth + 1 :]):
                whole = {above: whole}
            return _insert(text, node, key, whole, first), [Edit(path[: depth + 1], whole)]
        node = member.value
    if same(node.plain, value):
        return text, []
    if isinstance(value, dict) and node.kind == "object":
        done: list[Edit] = []
        for key, item in value.items():
            text, more = put(text, (*path, key), item)
            done += more
        return text, done
    shown = _shown(value, _indent(text, node.start), text)
    return text[: node.start] + shown + text[node.end :], [Edit(path, value, node.plain, existed=True)]


def add(text: str, path: Path, item: str) -> tuple[str, list[Edit]]:
    """Put `item` at the end of the array at `path`, which is there."""
    node = find(parse(text), path)
    assert node is not None
    if node.kind != "array":
        raise BadInput(f"{'.'.join(path)} is not a list", fix="Correct it by hand.")
    if item in node.plain:
        return text, []
    return _insert(text, node, "", item, False), [Edit(path, item, item=True)]


def undo(text: str, edits: list[Edit]) -> tuple[str, list[Path]]:
    """Take edits back in a text that was changed since; returns it, and the paths whose values are others' by now."""
    others: list[Path] = []
    for edit in reversed(edits):
        node = find(parse(text), edit.path)
        if edit.item:
            if node is not None and node.kind == "array" and edit.after in node.plain:
                text = _drop(text, node, node.plain.index(edit.after))
        elif not edit.existed:
            text, more = _withdraw(text, edit.path, edit.after)
            others += more
        elif node is None or not same(node.plain, edit.after):
            others.append(edit.path)
        else:
            shown = _shown(edit.before, _indent(text, node.start), text)
            text = text[: node.start] + shown + text[node.end :]
    return text, others


def _withdraw(text: str, path: Path, ours: Any) -> tuple[str, list[Path]]:
    """Drop a value of ours; of an object that others put more into, our part."""
    node = find(parse(text), path)
    if node is None:
        return text, []
    others: list[Path] = []
    if not same(node.plain, ours):
        if node.kind != "object" or not isinstance(ours, dict):
            return text, [path]
        for key, value in ours.items():
            text, more = _withdraw(text, (*path, key), value)
            others += more
        node = find(parse(text), path)
        if node is None or node.members:
            return text, others
    box = find(parse(text), path[:-1])
    assert box is not None
    keys = [member.key for member in box.members]
    return _drop(text, box, len(keys) - 1 - keys[::-1].index(path[-1])), others


def find(node: Node | None, path: Path) -> Node | None:
    """The value at a path of keys, None where there is none."""
    for key in path:
        member = node.find(key) if node is not None else None
        node = member.value if member is not None else None
    return node


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _insert(text: str, box: Node, key: str, value: Any, first: bool) -> str:
    """Put a property (or, without a key, an item) into an object or array, in the style of its neighbours."""
    name = f"{json.dumps(key, ensure_ascii=False)}: " if key else ""
    newline, outer = _newline(text), _indent(text, box.start)
    if not box.members:
        inner = outer + _unit(text)
        kept = text[box.start + 1 : box.end - 1].rstrip()
        piece = f"{newline}{inner}{name}{_shown(value, inner, text)}{newline}{outer}"
        return text[: box.start + 1] + kept + piece + text[box.end - 1 :]
    last = box.members[-1]
    if "\n" not in text[box.start : box.end]:
        gap, piece = " ", name + json.dumps(value, ensure_ascii=False)
    else:
        leading = next((found for found in box.members if _begins_line(text, found.start)), None)
        inner = _indent(text, leading.start) if leading else outer + _unit(text)
        gap, piece = newline + inner, name + _shown(value, inner, text)
    if first:
        at = box.members[0].start
        return text[:at] + piece + "," + gap + text[at:]
    behind = last.comma + 1 if last.comma >= 0 else last.value.end
    at = skip_on_line(text, behind) if gap != " " else behind
    piece = gap + piece
    if last.comma >= 0:
        return text[:at] + piece + "," + text[at:]
    return text[: last.value.end] + "," + text[last.value.end : at] + piece + text[at:]


def _drop(text: str, box: Node, index: int) -> str:
    """Take out a property or item with its comma; where it has lines of its own, with these lines."""
    member = box.members[index]
    before = box.members[index - 1] if index else None
    start, end = member.start, member.comma + 1 if member.comma >= 0 else member.value.end
    if _begins_line(text, start) and (found := re.compile(r"\r?\n").match(text, skip_on_line(text, end))):
        start, end = text.rfind("\n", 0, start) + 1, found.end()
    elif member.comma >= 0:
        end += len(text[end:]) - len(text[end:].lstrip(" \t"))
    text = text[:start] + text[end:]
    if member.comma < 0 and before is not None:
        gap_start = before.comma + 1
        gap = text[gap_start:start]
        text = text[: before.comma] + (gap.rstrip(" \t") if not gap.strip(" \t") else gap) + text[start:]
    return text


def _shown(value: Any, indent: str, text: str) -> str:
    shown = json.dumps(value, indent=_unit(text), ensure_ascii=False)
    return shown.replace("\n", _newline(text) + indent)


def _newline(text: str) -> str:
    at = text.find("\n")
    return "\r\n" if at > 0 and text[at - 1] == "\r" else "\n"


def _unit(text: str) -> str:
    """What a level is indented by: as the file's first property on a line of its own is."""
    root = parse(text)
    members: tuple[Member, ...] = root.members if root is not None else ()
    found = next((_indent(text, member.start) for member in members if _begins_line(text, member.start)), "")
    return found or "  "


def _indent(text: str, at: int) -> str:
    """The white space that the line of an offset begins with."""
    start = text.rfind("\n", 0, at) + 1
    found = re.compile(r"[ \t]*").match(text, start)
    return found[0] if found else ""


def _begins_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip(" \t") and "\n" in text[:at]
