"""The expectations of a suite: an `assert` item read, refused where it could never be checked, and filled in."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import replace

from lora_tui.jobs import patterns
from lora_tui.jobs.checks import CARRIED, CODE_KINDS, KINDS, SET, Expectation, items, known_kind
from lora_tui.verify.suites import nodes as suite_nodes
from lora_tui.verify.suites import texts as suite_texts
from lora_tui.verify.suites.nodes import wrong
from lora_tui.verify.suites.templates import filled

_KEYS = {"type", "value", "threshold", "weight", "metric", "provider", "rubricPrompt", "config"}
_TRANSFORMS = {"transform", "contextTransform"}
_SET_KEYS = {"type", "assert", "threshold", "weight", "metric", "config"}
_CODE_KEYS = {
    "x-code-parses": {"language"},
    "x-code-runs": {"language", "harness", "timeout"},
    "x-code-tests": {"language", "tests", "timeout"},
}
NEED_VALUE = {*KINDS, "llm-rubric", "similar"} - {"is-json", "contains-json"}
LISTS = {"contains-all", "contains-any", "icontains-all", "icontains-any"}
_TEXTS = {"contains", "icontains", "starts-with", "regex"}


def read(node: yaml.Node) -> Expectation:
    """The expectation that stands at a node. Raises BadInput with file and line."""
    fields = suite_nodes.mapping(node, _KEYS | _TRANSFORMS | {"assert"}, "an expectation")
    name = suite_nodes.data(fields["type"]) if "type" in fields else None
    if name == SET:
        return _set(node)
    if not isinstance(name, str) or not known_kind(name):
        raise wrong(fields.get("type", node), f"unknown expectation {name!r}; {_meant(str(name))}")
    if "assert" in fields:
        raise wrong(fields["assert"], f"`assert` stands only in {SET}")
    wanted = Expectation(
        type=name,
        value=suite_nodes.data(fields["value"]) if "value" in fields else None,
        threshold=suite_nodes.number(fields, "threshold"),
        weight=_weight(fields),
        metric=suite_nodes.text(fields, "metric"),
    )
    if wanted.kind not in CARRIED or wanted.kind in CODE_KINDS:
        for key in _TRANSFORMS & set(fields):
            raise wrong(fields[key], f"`{key}` is code of the suite, which is not executed")
    _sensible(fields.get("value", node), wanted)
    return wanted


def with_values(
    node: yaml.Node, wanted: Expectation, values: dict[str, Any], language: str, folder: Path
) -> Expectation:
    """The expectation with a test's variables in its value, and the language of a code check. Raises BadInput."""
    if wanted.type == SET:
        return replace(wanted, value=tuple(with_values(node, item, values, language, folder) for item in wanted.value))
    if wanted.kind in CODE_KINDS:
        code = {"language": wanted.value} if isinstance(wanted.value, str) else dict(wanted.value or {})
        code["language"] = str(code.get("language") or language).lower()
        if not code["language"]:
            raise wrong(node, f"{wanted.type} needs a language: in its value or in the test's `metadata`")
        return replace(wanted, value=code)
    value: Any = wanted.value
    if isinstance(value, list):
        value = [filled(item, values, strict=False) if isinstance(item, str) else item for item in value]
    elif isinstance(value, str):
        try:
            read = suite_texts.of(value, folder) if wanted.kind in NEED_VALUE else value
        except ValueError as error:
            raise wrong(node, str(error)) from error
        value = filled(read, values, strict=False) if isinstance(read, str) else read
    if wanted.kind == "regex":
        _check_pattern(node, str(value))
    return replace(wanted, value=value)


def _set(node: yaml.Node) -> Expectation:
    fields = suite_nodes.mapping(node, _SET_KEYS, SET)
    inner = suite_nodes.sequence(fields["assert"], "assert") if "assert" in fields else []
    if not inner:
        raise wrong(node, f"{SET} needs `assert`, a list of expectations")
    return Expectation(
        type=SET,
        value=tuple(map(read, inner)),
        threshold=suite_nodes.number(fields, "threshold"),
        weight=_weight(fields),
        metric=suite_nodes.text(fields, "metric"),
    )


def _meant(name: str) -> str:
    known = [*KINDS, *CARRIED, SET]
    near = difflib.get_close_matches(name.removeprefix("not-"), known, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{meant}known: {', '.join(sorted({*KINDS, *CODE_KINDS, 'latency', SET}))}, each but the last also as not-…"


def _weight(fields: dict[str, yaml.Node]) -> float:
    weight = suite_nodes.number(fields, "weight")
    if weight is not None and weight < 0:
        raise wrong(fields["weight"], "`weight` must not be negative")
    return 1.0 if weight is None else weight


def _sensible(node: yaml.Node, wanted: Expectation) -> None:
    """Refuse a value that could never be checked."""
    kind, value = wanted.kind, wanted.value
    if value is None and kind in NEED_VALUE:
        raise wrong(node, f"{wanted.type} needs a `value`")
    if kind == "latency" and wanted.threshold is None:
        raise wrong(node, "latency needs a `threshold` in milliseconds")
    if kind in LISTS and not isinstance(value, list | str | int | float):
        raise wrong(node, f"the value of {wanted.type} must be a list, or a text with commas")
    if kind in _TEXTS and isinstance(value, list | dict):
        raise wrong(node, f"the value of {wanted.type} must be a text")
    texts: list[Any] | None = items(value) if kind in LISTS else [value] if kind in _TEXTS else None
    if texts is not None and (not texts or "" in texts):
        raise wrong(node, f"the value of {wanted.type} is empty, or a text in it: every answer has that")
    if kind == "word-count" and not _counts(value):
        raise wrong(node, "the value of word-count must be a number, or {min, max}")
    if kind == "regex" and "{{" not in str(value) and not suite_texts.is_file(value):
        _check_pattern(node, str(value))
    if kind in CODE_KINDS:
        _sensible_code(node, wanted)


def _check_pattern(node: yaml.Node, text: str) -> None:
    if why := patterns.problem(text):
        raise wrong(node, f"not a regular expression: {why}")


def _sensible_code(node: yaml.Node, wanted: Expectation) -> None:
    value = {"language": wanted.value} if isinstance(wanted.value, str) else wanted.value or {}
    if not isinstance(value, dict):
        raise wrong(node, f"the value of {wanted.type} must be a language or a mapping")
    known = _CODE_KEYS[wanted.kind]
    for name, item in value.items():
        if name not in known:
            raise wrong(node, f"unknown key {name!r} in {wanted.type}; known: {', '.join(sorted(known))}")
        if name == "timeout" and not (isinstance(item, int | float) and 0 < item <= 600):
            raise wrong(node, "`timeout` must be seconds, above 0 and at most 600")
    if wanted.kind == "x-code-tests" and not str(value.get("tests", "")).strip():
        raise wrong(node, "x-code-tests needs `tests`")


def _counts(value: object) -> bool:
    if isinstance(value, dict):
        return bool(value) and set(value) <= {"min", "max"} and all(isinstance(item, int) for item in value.values())
    return isinstance(value, int) and not isinstance(value, bool)
