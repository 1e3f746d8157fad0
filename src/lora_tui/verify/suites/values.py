"""The value of an expectation as text in a form, and what is typed there as a value again."""

from __future__ import annotations

import json
from typing import Any

from lora_tui.jobs.checks import text_of
from lora_tui.verify.suites.expectations import LISTS
from lora_tui.workspace.errors import BadInput

_TESTS = "x-code-tests"


def shown(kind: str, value: Any) -> str:
    """A value as it is typed: lists one text a line, tests as they are, other mappings as JSON."""
    if kind == _TESTS and isinstance(value, dict):
        return str(value.get("tests", ""))
    if kind in LISTS and isinstance(value, list):
        return "\n".join(map(text_of, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else text_of(value)


def typed(kind: str, text: str, before: Any = None) -> Any:
    """The value that is typed; None where nothing is. What was not changed is `before` itself. Raises BadInput."""
    if before is not None and text == shown(kind, before):
        return before
    if not text.strip():
        return None
    if kind == _TESTS:
        kept = before if isinstance(before, dict) else {}
        return {**kept, "tests": text.rstrip("\n") + "\n"}
    if kind in LISTS:
        return [line for line in text.split("\n") if line.strip()]
    if (
        kind in ("word-count", "x-code-runs")
        or isinstance(before, dict | list)
        or (kind == "equals" and text[0] in "[{")
    ):
        try:
            return json.loads(text)
        except ValueError as error:
            raise BadInput(f"this is no JSON: {error}") from error
    return text
