"""Expectations that need no judge: one small function each, by promptfoo's name. `not-` turns one around."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from lora_tui.jobs.journal import Check


def _contains(answer: str, value: Any) -> bool:
    return str(value) in answer


def _icontains(answer: str, value: Any) -> bool:
    return str(value).lower() in answer.lower()


def _contains_all(answer: str, value: Any) -> bool:
    return all(str(item) in answer for item in _items(value))


def _contains_any(answer: str, value: Any) -> bool:
    return any(str(item) in answer for item in _items(value))


def _regex(answer: str, value: Any) -> bool:
    return re.search(str(value), answer) is not None


def _equals(answer: str, value: Any) -> bool:
    return answer == str(value)


def _starts_with(answer: str, value: Any) -> bool:
    return answer.startswith(str(value))


def _is_json(answer: str, _: Any) -> bool:
    try:
        json.loads(answer)
    except ValueError:
        return False
    return True


KINDS: dict[str, Callable[[str, Any], bool]] = {
    "contains": _contains,
    "icontains": _icontains,
    "contains-all": _contains_all,
    "contains-any": _contains_any,
    "regex": _regex,
    "equals": _equals,
    "starts-with": _starts_with,
    "is-json": _is_json,
}


def known_kind(name: str) -> bool:
    """Whether an expectation of this name can be checked."""
    return name.removeprefix("not-") in KINDS


def words(kind: str, value: Any) -> str:
    """An expectation as a person reads it: contains 'fn '."""
    return kind if value is None else f"{kind} {value!r}"


def check(kind: str, value: Any, named: str, answer: str) -> Check:
    """Check one answer; `named` is how the result names the expectation."""
    met = KINDS[kind.removeprefix("not-")](answer, value)
    return Check(expectation=named, passed=met != kind.startswith("not-"))


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [part.strip() for part in str(value).split(",")]
