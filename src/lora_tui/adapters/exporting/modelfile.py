"""Ollama's names, parameters and Modelfile. The API takes fields; a Modelfile is what its command line reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lora_tui.workspace.errors import BadInput

Parameter = bool | int | float | str
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"
_SPACE = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"
# Ollama, types/model/name.go: [host/][namespace/]model[:tag]
_NAME = re.compile(rf"(([A-Za-z0-9_][A-Za-z0-9_.:-]{{0,349}}/)?{_SPACE}/)?{_PART}(:{_PART})?")
_KEY = re.compile(r"[a-z][a-z0-9_]*")
_REPEATED = "stop"


def check_name(name: str) -> str:
    """A name that Ollama takes for a model. Raises BadInput."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} is no name of an Ollama model",
            fix="Write [namespace/]model[:tag]; letters, digits, '_', '-' and '.', at most 80 each.",
        )
    return name


def settings(pairs: Sequence[tuple[str, str]]) -> dict[str, Parameter | list[str]]:
    """PARAMETER lines as the API takes them: numbers as numbers, every `stop` in one list. Raises BadInput."""
    found: dict[str, Parameter | list[str]] = {}
    stops: list[str] = []
    for key, value in pairs:
        if not _KEY.fullmatch(key):
            raise BadInput(f"{key!r} is no parameter of Ollama", fix="Write --parameter num_ctx=16384.")
        if key == _REPEATED:
            stops.append(value)
        else:
            found[key] = _value(value)
    return found | ({_REPEATED: stops} if stops else {})


def modelfile(model: str, adapter: str, system: str, parameters: Sequence[tuple[str, str]]) -> str:
    """A Modelfile of a GGUF beside it, with a GGUF adapter on it or ""."""
    lines = [f"FROM ./{model}"]
    if adapter:
        lines.append(f"ADAPTER ./{adapter}")
    settings(parameters)
    lines += [f"PARAMETER {key} {_quoted(value)}" for key, value in parameters]
    if system:
        lines.append(f"SYSTEM {_quoted(system)}")
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    if '"""' in value:
        raise BadInput('a value of a Modelfile cannot hold """')
    if "\n" in value or '"' in value:
        return f'"""{value}"""'
    return f'"{value}"' if value != value.strip() or " " in value or not value else value


def _value(text: str) -> Parameter:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)
