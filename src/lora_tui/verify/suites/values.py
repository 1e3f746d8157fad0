"""The value of an expectation as text in a form, and what is typed there as a value again."""

from __future__ import annotations

import json
from typing import Any

from lora_tui.jobs.checks import items, text_of
from lora_tui.verify.suites import texts as suite_texts
from lora_tui.verify.suites.expectations import LISTS
from lora_tui.workspace.errors import BadInput

_TESTS = "x-code-tests"


def shown(kind: str, value: Any) -> str:
    """A value as it is typed: lists and texts with commas one text a line, tests as they are, the rest as JSON."""
    if kind == _TESTS and isinstance(value, dict):
        return str(value.get("tests", ""))
    if kind in LISTS and value is not None and _one_a_line(value):
        return "\n".join(items(value))
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
    if kind in LISTS and _one_a_line(before):
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


def _one_a_line(value: Any) -> bool:
    """Whether each text of a list can stand on a line, and come back as it was.

    A text of several lines would be several texts, and a template or a file is cut at its commas only when it is read.
    """
    if isinstance(value, dict) or (isinstance(value, str) and ("{{" in value or suite_texts.is_file(value))):
        return False
    return all(item.strip() and "\n" not in item for item in items(value))
