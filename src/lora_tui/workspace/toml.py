"""TOML into typed structs, with errors that name the file, the key and the line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from lora_tui.workspace.errors import BadInput

T = TypeVar("T")


def load(path: Path, kind: type[T]) -> T:
    """Read `path` as a `kind` (a msgspec struct with forbid_unknown_fields). Raises BadInput."""
    return convert(read(path), kind, path)


def read(path: Path) -> dict[str, Any]:
    """Read `path` as plain TOML. Raises BadInput with the line of a syntax error."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read: {error}", where=str(path)) from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"not valid TOML: {error}", where=str(path)) from error


def convert(data: dict[str, Any], kind: type[T], path: Path) -> T:
    """Check plain TOML data against a struct; `path` is only for the error."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        key, reason = complaint(error)
        raise BadInput(reason, where=place(path, key)) from error


def complaint(error: msgspec.ValidationError) -> tuple[str, str]:
    """The dotted key that msgspec complains of ("" for none), and its reason in words that begin with the key."""
    key = _key_of(str(error))
    return key, _reason(str(error), key)


def place(path: Path, key: str) -> str:
    """Where a key is set, as FILE:LINE; the file alone where it is not in it."""
    line = _line_of(path, key)
    return f"{path}:{line}" if line else str(path)


def dump(data: object) -> str:
    """A struct or plain data as TOML text; keys whose value is None are left out."""
    import tomli_w

    return tomli_w.dumps(_without_none(msgspec.to_builtins(data)))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value


def _key_of(message: str) -> str:
    """The dotted key msgspec speaks of: "… - at `$.lora.r`" or "unknown field `x` - at `$.lora`"."""
    at = re.search(r"at `\$\.?([^`]*)`", message)
    base = at.group(1) if at else ""
    unknown = re.search(r"(?:unknown field|missing required field) `([^`]+)`", message)
    return ".".join(part for part in (base, unknown.group(1) if unknown else "") if part)


def _reason(message: str, key: str) -> str:
    plain = re.sub(r" - at `[^`]*`", "", message)
    plain = re.sub(r"Object contains unknown field `[^`]*`", "unknown key", plain)
    plain = re.sub(r"Object missing required field `[^`]*`", "missing key", plain)
    return f"{key}: {plain[:1].lower()}{plain[1:]}" if key else plain


def _line_of(path: Path, key: str) -> int:
    """The line that sets `key` ("lora.r"), else the header of its table, else 0."""
    if not key or not path.is_file():
        return 0
    *table, name = re.sub(r"\[[^\]]*\]", "", key).split(".")
    wanted, current, header = ".".join(table), "", 0
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        head = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
        if head:
            current = head.group(1).replace('"', "")
            if current == key:
                return number
            if current == wanted:
                header = number
        elif current == wanted and re.match(rf'\s*"?{re.escape(name)}"?\s*=', line):
            return number
    return header
