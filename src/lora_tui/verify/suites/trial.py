"""Trying expectations on an answer that somebody types, before any model is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_tui.jobs.checks import CODE_KINDS, SET, Expectation, skipped
from lora_tui.jobs.journal import Check
from lora_tui.verify import code_checks
from lora_tui.verify.suites import expectations as suite_expectations
from lora_tui.verify.suites import nodes as suite_nodes
from lora_tui.verify.suites.outline import Wanted
from lora_tui.workspace.errors import BadInput

LATER = "its code is run when you ask for it"


def expectation(data: Mapping[str, Any], given: Mapping[str, Any], language: str, folder: Path) -> Expectation:
    """One expectation as it would be checked, a test's variables in it. Raises BadInput where it could not be."""
    node = suite_nodes.of(dict(data), folder, 1)
    try:
        return suite_expectations.with_values(node, suite_expectations.read(node), dict(given), language, folder)
    except BadInput as error:
        raise BadInput(error.what) from error  # of a form there is no line


def tried(wanted: Expectation, answer: str, *, run: bool = False) -> Check:
    """The check of an answer. Not `run`: code is not executed, and such a check is "not run"."""
    if not run and _runs(wanted):
        return skipped(wanted, LATER)
    return code_checks.checked((wanted,), answer)[0]


def all_tried(
    wanted: Sequence[Wanted], given: Mapping[str, Any], language: str, folder: Path, answer: str, *, run: bool = False
) -> list[Check]:
    """The checks of an answer by every expectation of a test; one that is a mistake is "not run" and says why."""
    found = []
    for item in wanted:
        try:
            found.append(tried(expectation(item.data, given, language, folder), answer, run=run))
        except BadInput as error:
            found.append(Check(item.words, passed=False, not_run=error.what))
    return found


def _runs(wanted: Expectation) -> bool:
    if wanted.type == SET:
        return any(_runs(item) for item in wanted.value)
    return wanted.kind in CODE_KINDS and wanted.kind != "x-code-parses"
