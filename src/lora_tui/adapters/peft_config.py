"""adapter_config.json as PEFT writes it: read, and refused where a value is not of its kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.workspace.errors import BadInput

CONFIG = "adapter_config.json"
PICKLE = "adapter_model.bin is a pickle, which can run code and is never loaded: save it again as safetensors."
_AGAIN = "Copy or download it again."


def read(folder: Path) -> Mapping[str, Any]:
    """The config of an adapter's folder. Raises BadInput where it is not there, no JSON, or has a value of no use."""
    path = folder / CONFIG
    try:
        found = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError as error:
        raise BadInput(
            f"this is no adapter: it has no {CONFIG}", where=str(folder), fix="Name the folder that PEFT saved."
        ) from error
    except OSError as error:
        raise BadInput(f"cannot read it: {error.strerror}", where=str(path)) from error
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise BadInput(f"this is no JSON: {error}", where=str(path), fix=_AGAIN) from error
    if not isinstance(found, dict):
        raise BadInput("this is no JSON object", where=str(path), fix=_AGAIN)
    for key, (fits, kind) in _KINDS.items():
        if found.get(key) is not None and not fits(found[key]):
            shown = msgspec.json.encode(found[key]).decode()[:60]
            raise BadInput(f"its {key} is {shown}, and has to be {kind}", where=str(path), fix=_AGAIN)
    return found


def fix_of_missing(folder: Path) -> str:
    """What to do where an adapter has no weights."""
    return PICKLE if (folder / "adapter_model.bin").is_file() else _AGAIN


def ends_with(pattern: str, module: str) -> bool:
    """PEFT's rule for the keys of rank_pattern and alpha_pattern (`get_pattern_key`): they fit a name's end."""
    return re.match(rf"(.*\.)?({pattern})$", module) is not None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_rank(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_pattern(text: object) -> bool:
    try:
        return isinstance(text, str) and re.compile(rf"(.*\.)?({text})$") is not None
    except (re.error, RecursionError, OverflowError):
        return False


def _are_targets(value: object) -> bool:
    return _is_pattern(value) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _are_ranks(value: object) -> bool:
    return isinstance(value, dict) and all(_is_pattern(key) and _is_rank(item) for key, item in value.items())


def _are_alphas(value: object) -> bool:
    return isinstance(value, dict) and all(_is_pattern(key) and _is_number(item) for key, item in value.items())


_KINDS = {
    "r": (_is_rank, "a whole number"),
    "lora_alpha": (_is_number, "a number"),
    "target_modules": (_are_targets, "a list of names, or one regular expression"),
    "rank_pattern": (_are_ranks, "a rank for each regular expression"),
    "alpha_pattern": (_are_alphas, "a number for each regular expression"),
}
