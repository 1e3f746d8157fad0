"""What a suite takes from files beside it: `file://NAME`, where NAME may have wildcards; and the prompts it asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import yaml

from lora_tui.verify.suites import nodes as suite_nodes

_FILE = "file://"
_TEXTS = (".txt", ".md", ".prompt", ".j2", "")
_DATA = (".yaml", ".yml", ".json")
_SEPARATOR = "\n---\n"  # between the prompts of a file, as promptfoo has it


class Template(msgspec.Struct, frozen=True):
    """One of the prompts of a suite, before a test's vars are filled in."""

    text: str
    label: str = ""  # what a test's `prompts` names it by


def is_file(value: object) -> bool:
    """Whether a value of a suite names a file."""
    return isinstance(value, str) and value.startswith(_FILE)


def named(reference: str, folder: Path) -> list[str]:
    """Each file that `file://NAME` names, as such a reference of its own. Raises ValueError when there is none."""
    name = reference.removeprefix(_FILE)
    if not set("*?[") & set(name):
        return [reference]
    found = sorted(path for path in folder.glob(name) if path.is_file()) if not Path(name).is_absolute() else []
    if not found:
        raise ValueError(f"no file fits {reference!r}")
    return [f"{_FILE}{path.relative_to(folder)}" for path in found]


def of(value: Any, folder: Path) -> Any:
    """What `file://NAME` names, beside the suite: a text, or the data of a YAML or JSON file; any other value as it is.

    Raises ValueError, also for every other kind of file: code is not executed.
    """
    if not is_file(value):
        return value
    path = folder / value.removeprefix(_FILE)
    try:
        if path.suffix in _DATA:
            root = suite_nodes.read(path)
            return None if root is None else suite_nodes.data(root)
        if path.suffix in _TEXTS:
            return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {value!r}: {error}") from error
    kinds = ", ".join([*filter(None, _TEXTS), *_DATA])
    raise ValueError(f"of files only texts and data are read ({kinds}), not {value!r}")


def templates(value: object, folder: Path) -> list[Template]:
    """The prompts of a suite: a text, or a list of texts, `file://` texts and {raw or id, label}; or {file: label}.

    Raises ValueError.
    """
    if isinstance(value, dict):
        items: list[Any] = [
            {"raw": f"{_FILE}{str(name).removeprefix(_FILE)}", "label": item} for name, item in value.items()
        ]
    else:
        items = value if isinstance(value, list) else [value]
    found = [template for item in items for template in _templates(item, folder)]
    if not found:
        raise ValueError("`prompts` holds no prompt")
    return found


def _templates(item: object, folder: Path) -> list[Template]:
    raw = item.get("raw", item.get("id")) if isinstance(item, dict) else item
    label = str(item.get("label", "")) if isinstance(item, dict) else ""
    if not isinstance(raw, str):
        raise ValueError("a prompt must be text")
    if not is_file(raw):
        beside = "\n" not in raw and Path(raw).suffix in _TEXTS[:-1] and (folder / raw).is_file()
        if not beside:
            return [Template(_said(raw), label or raw)]
        raw = _FILE + raw
    found: list[Template] = []
    for reference in named(raw, folder):
        read = of(reference, folder)
        if isinstance(read, list) and not _is_chat(read):
            found += templates(read, folder)
        elif isinstance(read, str):
            pieces = [piece.strip() for piece in f"\n{read}\n".split(_SEPARATOR)]
            found += [Template(_said(piece), label or raw) for piece in pieces if piece]
        else:
            found.append(Template(_said(json.dumps(read)), label or raw))
    return found


def _is_chat(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and "role" in item for item in value)


def _said(text: str) -> str:
    """The text of a prompt. One that is a chat, in JSON or YAML, is asked where it is one message of a user."""
    begin = text.lstrip()
    if not begin.startswith(("[", "- role:")):
        return text
    try:
        chat = json.loads(text) if begin.startswith("[") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        return text
    if not _is_chat(chat):
        return text
    content = chat[0].get("content")
    if len(chat) == 1 and chat[0]["role"] == "user" and isinstance(content, str):
        return content
    raise ValueError("a chat of several messages is not asked: write it as one text")
