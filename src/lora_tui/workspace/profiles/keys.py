"""Every key of a profile by its dotted name, with its type, its default and the words keys.toml has for it."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.workspace import toml
from lora_tui.workspace.profiles.schema import Profile

WORDS = Path(__file__).with_name("keys.toml")
_TOP = "profile"  # the table of keys.toml for the keys that stand above every table
_NEAR = 3


class Key(msgspec.Struct, frozen=True):
    """One key. `default` is msgspec.UNSET where a profile must say it."""

    name: str  # dotted: "lora.r"
    type: Any
    default: Any


@cache
def keys() -> dict[str, Key]:
    """Every key by its dotted name, in the order of the schema."""
    found: dict[str, Key] = {}
    for field in msgspec.structs.fields(Profile):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            for inner in msgspec.structs.fields(field.type):
                name = f"{field.name}.{inner.name}"
                found[name] = Key(name=name, type=inner.type, default=_default(inner))
        else:
            found[field.name] = Key(name=field.name, type=field.type, default=_default(field))
    return found


@cache
def words() -> dict[str, str]:
    """What keys.toml says of each key, by its dotted name."""
    tables: dict[str, dict[str, str]] = toml.read(WORDS)
    return {
        key if table == _TOP else f"{table}.{key}": text for table, said in tables.items() for key, text in said.items()
    }


def near(wrong: str) -> str:
    """What a person may have meant by a key that does not exist, as a sentence; where to look when nothing is near."""
    last = wrong.rpartition(".")[2]
    same = [name for name in keys() if name.rpartition(".")[2] == last]
    tails: dict[str, str] = {}
    for name in keys():
        tails.setdefault(name.rpartition(".")[2], name)
    like = [tails[tail] for tail in get_close_matches(last, list(tails), n=_NEAR, cutoff=0.6)]
    found = list(dict.fromkeys([*same, *get_close_matches(wrong, list(keys()), n=_NEAR, cutoff=0.7), *like]))[:_NEAR]
    if not found:
        return "`lora-tui profiles show NAME` prints every key."
    return f"Did you mean {' or '.join(found)}?"


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return msgspec.UNSET
