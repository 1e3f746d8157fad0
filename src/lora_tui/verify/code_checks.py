"""x-code-parses, x-code-runs, x-code-tests: an answer's code is parsed, or run and tested in a sandbox."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lora_tui.jobs import checks
from lora_tui.jobs.checks import CODE_KINDS, Expectation
from lora_tui.jobs.journal import Check
from lora_tui.verify.sandbox import Limits, Result, parses, run_code, run_tests

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.M | re.S)
_NAMES = {
    "python": ("python", "py", "python3"),
    "ruby": ("ruby", "rb"),
    "rust": ("rust", "rs"),
    "typescript": ("typescript", "ts", "mts"),
    "swift": ("swift",),
}


def checked(expectations: Sequence[Expectation], answer: str, *, seconds: float | None = None) -> tuple[Check, ...]:
    """Check an answer against each expectation; what nothing here can check is "not run"."""
    return tuple(_checked(item, answer, seconds) for item in expectations)


def _checked(wanted: Expectation, answer: str, seconds: float | None) -> Check:
    if wanted.type == checks.SET:
        return checks.together(wanted, [_checked(item, answer, seconds) for item in wanted.value])
    return check_code(wanted, answer) if wanted.kind in CODE_KINDS else checks.check(wanted, answer, seconds=seconds)


def check_code(wanted: Expectation, answer: str) -> Check:
    """One of the three code checks; "not run" where the language cannot be run, whatever the answer is."""
    language = str(wanted.value["language"])
    code = code_of(answer, language)
    result = _result(wanted, language, code)
    if result.verdict == "not run":
        return checks.skipped(wanted, result.why)
    if not code.strip():
        return Check(wanted.words, passed=False, detail=f"it holds no {language} code", weight=wanted.weight)
    return checks.found(wanted, result.verdict == "passed", result.why)


def code_of(answer: str, language: str) -> str:
    """The first fenced block that says it is of the language; else the first that says nothing; else the whole answer.

    Only the first: a second one is another way or an example of use, and would define the same names again. An answer
    whose blocks are all of other languages holds none.
    """
    blocks = [(found[2].lower(), found[3]) for found in _FENCE.finditer(answer)]
    if not blocks:
        return answer
    names = _NAMES.get(language, (language,))
    for wanted in (names, ("",)):
        for name, code in blocks:
            if name in wanted:
                return code
    return ""


def _result(wanted: Expectation, language: str, code: str) -> Result:
    if wanted.kind == "x-code-parses":
        return parses(language, code)
    limits = Limits(seconds=float(wanted.value["timeout"])) if "timeout" in wanted.value else None
    if wanted.kind == "x-code-runs":
        return run_code(language, f"{code}\n{wanted.value.get('harness', '')}", limits=limits)
    return run_tests(language, code, str(wanted.value["tests"]), limits=limits)
