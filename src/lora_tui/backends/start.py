"""The adapter version a run goes on from, and whether a profile can go on from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Lora, Profile

# What an adapter is made as and stays. The others are of its training, and may change: dropout, learning rates.
_SHAPE = (
    "r",
    "lora_alpha",
    "target_modules",
    "exclude_modules",
    "target_parameters",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "use_dora",
    "modules_to_save",
    "new_tokens",
)
_CONFIG = "adapter_config.json"


class Start(msgspec.Struct, frozen=True):
    """An adapter as the registry knows it. `lora` is how it was made; None where it was not written down yet.

    known: ids of the dataset's rows that it was trained on, and that this run leaves out; none: it takes all.
    """

    folder: Path
    name: str  # as a person names it: "tiny@1.0.0"
    base: str
    lora: Lora | None = None
    known: frozenset[str] = frozenset()


def check_fits(profile: Profile, base: str, start: Start) -> None:
    """Raises BadInput where the run would not train what the adapter is: another base, rank, alpha or other modules."""
    if start.base != base:
        raise BadInput(
            f"{start.name} was trained on another base: {start.base}, not {base}",
            where=f"profile {profile.name}",
            fix="Choose a profile with that base, or train a fresh adapter without --from.",
        )
    wanted: dict[str, Any] = msgspec.to_builtins(profile.lora)
    made = _made(start)
    other = [key for key in _SHAPE if key in made and _plain(made[key]) != _plain(wanted[key])]
    if other:
        told = ", ".join(f"lora.{key} is {_typed(made[key])} there and {_typed(wanted[key])} here" for key in other)
        again = " ".join(f"--set 'lora.{key}={_typed(made[key])}'" for key in other)
        raise BadInput(
            f"{start.name} was made otherwise: {told}",
            where=f"profile {profile.name}",
            fix=f"Go on as it was made: {again}; or train a fresh adapter without --from.",
        )


def _made(start: Start) -> dict[str, Any]:
    if start.lora is not None:
        made: dict[str, Any] = msgspec.to_builtins(start.lora)
        return made
    try:  # an older registry entry: what PEFT wrote down, but for the names it found for "all-linear"
        config = msgspec.json.decode((start.folder / _CONFIG).read_bytes(), type=dict[str, Any])
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise BadInput(f"this adapter cannot be read: {error}", where=str(start.folder)) from error
    return {key: config[key] for key in ("r", "lora_alpha", "use_rslora", "use_dora") if key in config}


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list | tuple) else value


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
