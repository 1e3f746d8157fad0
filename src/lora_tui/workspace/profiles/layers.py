"""Layers of plain TOML data, the later over the earlier, and whose fault it is when the sum is no profile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles.keys import near
from lora_tui.workspace.profiles.schema import Profile

Data = dict[str, Any]


class Layer(msgspec.Struct, frozen=True):
    """What one file, or one option of the command line (a str), says."""

    source: Path | str
    data: Data

    def place(self, key: str) -> str:
        """Where `key` stands in it."""
        return toml.place(self.source, key) if isinstance(self.source, Path) else self.source


def laid_over(below: Data, above: Data) -> Data:
    """Tables merge key by key; anything else, an empty table too, takes the place of what was there."""
    made = dict(below)
    for key, value in above.items():
        inside = made.get(key)
        made[key] = (
            laid_over(inside, value) if isinstance(inside, dict) and isinstance(value, dict) and value else value
        )
    return made


def merged(layers: Sequence[Layer]) -> Data:
    """All of them, the last one on top."""
    made: Data = {}
    for layer in layers:
        made = laid_over(made, layer.data)
    return made


def to_profile(layers: Sequence[Layer]) -> Profile:
    """The profile that the layers make. Raises BadInput with the place, in the topmost layer that says the wrong key.

    The tables of other backends are tried too: their mistakes are found now and not on the day they are needed.
    """
    data = merged(layers)
    made = _converted(data, layers, "")
    for backend in made.backends:
        _converted(laid_over(data, made.backends[backend]), layers, f"backends.{backend}.")
    return made


def for_backend(profile: Profile, backend: str) -> Profile:
    """The profile with the values of its table [backends.NAME] in the place of its own."""
    above = profile.backends.get(backend)  # type: ignore[call-overload]
    if not above:
        return profile
    return msgspec.convert(laid_over(msgspec.to_builtins(profile), above), Profile)


def _converted(data: Data, layers: Sequence[Layer], prefix: str) -> Profile:
    try:
        return msgspec.convert(data, Profile)
    except msgspec.ValidationError as error:
        key, reason = toml.complaint(error)
        at = prefix + key
        layer = next((layer for layer in reversed(layers) if _says(layer.data, at)), None)
        place = layer.place(at) if layer is not None else _top_file(layers).place(at)
        raise BadInput(prefix + reason, where=place, fix=near(key) if "unknown key" in reason else "") from error


def _says(data: Any, key: str) -> bool:
    for part in key.replace("[...]", "").split("."):
        if not part:
            continue
        if not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True


def _top_file(layers: Sequence[Layer]) -> Layer:
    """The file a person named: what is missing is missing there."""
    return next(layer for layer in reversed(layers) if isinstance(layer.source, Path))
