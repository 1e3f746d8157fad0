"""The templates of a suite: `{{name}}` filled from a test's vars, and lists of values expanded.

promptfoo renders Nunjucks; of that only names are filled in, `{{user.name}}` within a mapping, and everything else is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from lora_tui.jobs.checks import text_of
from lora_tui.verify.suites import texts as suite_texts

_NAME = re.compile(r"\{\{-?\s*(\w+(?:\.\w+)*)\s*-?\}\}")
_OTHER = re.compile(r"\{\{[^{}\n]*\}\}|\{%[^\n]*?%\}")
_MISSING = object()


def filled(template: str, values: Mapping[str, Any], *, strict: bool = True) -> str:
    """The template with its names replaced; a value may name others.

    Raises ValueError for a name without a value and for any other kind of template; not `strict`: leaves them as they
    are, for values of expectations, in which braces may be code.
    """
    if strict:
        for found in _OTHER.finditer(template):
            if not _NAME.fullmatch(found[0]):
                raise ValueError(f"of templates only {{{{name}}}} is filled in, not {found[0]!r}")
        missing = [name for name in _NAME.findall(template) if _value(values, name) is _MISSING]
        if missing:
            raise ValueError(f"the prompt needs `vars: {missing[0]}`")

    def said(found: re.Match[str], *, again: bool) -> str:
        value = _value(values, found[1])
        if value is _MISSING:
            return found[0]
        return _NAME.sub(lambda inner: said(inner, again=False), text_of(value)) if again else text_of(value)

    return _NAME.sub(lambda found: said(found, again=True), template)


def names_in(template: str) -> list[str]:
    """The variables that a template names."""
    return list(dict.fromkeys(name.partition(".")[0] for name in _NAME.findall(template)))


def _value(values: Mapping[str, Any], name: str) -> Any:
    found: Any = values
    for part in name.split("."):
        found = found.get(part, _MISSING) if isinstance(found, Mapping) else _MISSING
    return found


def expanded(values: Mapping[str, Any], folder: Path, *, every: bool = True) -> Iterator[dict[str, Any]]:
    """Each combination of the values that are lists of texts or name several files; not `every`: the lists as they are.

    What `file://NAME` names is read, beside the suite. Raises ValueError when it cannot be.
    """
    options = {name: _ways(value, folder, every=every) for name, value in values.items()}
    for chosen in product(*options.values()):
        yield {name: suite_texts.of(value, folder) for name, value in zip(options, chosen, strict=True)}


def _ways(value: Any, folder: Path, *, every: bool) -> list[Any]:
    if isinstance(value, list):
        return list(value) if every and value and isinstance(value[0], str) else [value]
    return suite_texts.named(value, folder) if suite_texts.is_file(value) else [value]
