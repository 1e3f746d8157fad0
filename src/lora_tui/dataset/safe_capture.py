"""A captured agent without secrets: its prompt quotes the user's own instruction files, its tools their own servers."""

from __future__ import annotations

from typing import Any

import msgspec

from lora_tui.curation.redact import Redactor
from lora_tui.sources.opencode.capture import Capture


def without_secrets(capture: Capture, off: frozenset[str]) -> Capture:
    """The capture as rows and tools.json may hold it; `sha256` still names what was captured. `off`: rules not used."""
    redactor = Redactor(off)
    tools: list[dict[str, Any]] = _safe(capture.tools, redactor)
    return msgspec.structs.replace(capture, system=redactor.text(capture.system), tools=tools)


def _safe(value: Any, redactor: Redactor) -> Any:
    match value:
        case str():
            return redactor.text(value)
        case list():
            return [_safe(item, redactor) for item in value]
        case dict():
            return {key: _safe(item, redactor) for key, item in value.items()}
        case _:
            return value
