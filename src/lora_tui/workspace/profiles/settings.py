"""`lora.r=32`, as a person types it: one key of a profile for one run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Any

import msgspec

from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles.keys import keys, near
from lora_tui.workspace.profiles.layers import Layer, laid_over
from lora_tui.workspace.profiles.schema import Profile


def setting(text: str, profile: Profile) -> Layer:
    """The layer that `KEY=VALUE` is, over `profile`, which gives the value its type.

    The value is TOML where that makes a valid profile, else a text, else a list of what stands between commas. Raises
    BadInput, which names the key and what may have been meant.
    """
    source = f"--set {text}"
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key:
        raise BadInput(f"not a setting: {text!r}", where="--set", fix="Write it as KEY=VALUE, for example lora.r=32.")
    if not _known(key):
        raise BadInput(f"{key}: unknown key", where=source, fix=near(key))
    below = msgspec.to_builtins(profile)
    first: msgspec.ValidationError | None = None
    for meant in _readings(value):
        layer = Layer(source=source, data=_nested(key, meant))
        try:
            msgspec.convert(laid_over(below, layer.data), Profile)
        except msgspec.ValidationError as error:
            first = first or error
        else:
            return layer
    raise BadInput(f"{key}: {_why(first)}, got {value!r}", where=source) from first


def _known(key: str) -> bool:
    """Whether it is a key, or an entry of a key that is a table (data.targets.rust, backends.together.lora.r)."""
    return any(key == name or (key.startswith(f"{name}.") and _is_table(keys()[name].default)) for name in keys())


def _is_table(default: object) -> bool:
    return isinstance(default, dict)


def _readings(value: str) -> list[Any]:
    found: list[Any] = []
    try:
        found.append(tomllib.loads(f"value = {value}")["value"])
    except tomllib.TOMLDecodeError:
        pass
    return [*found, value, [part.strip() for part in value.split(",") if part.strip()]]


def _nested(key: str, value: Any) -> dict[str, Any]:
    first, dot, rest = key.partition(".")
    return {first: _nested(rest, value) if dot else value}


def _why(error: msgspec.ValidationError | None) -> str:
    """What msgspec says, without the place, which is the key."""
    said = str(error).partition(" - at ")[0]
    return f"{said[:1].lower()}{said[1:]}".partition(", got ")[0]


def with_settings(profile: Profile, texts: Iterable[str]) -> Profile:
    """`profile` with each `KEY=VALUE` laid over it in turn. Raises BadInput."""
    for text in texts:
        over = setting(text, profile).data
        profile = msgspec.convert(laid_over(msgspec.to_builtins(profile), over), Profile)
    return profile
