"""What is wrong with a suite, and what of it cannot be judged on this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.jobs.checks import CARRIED, CODE_KINDS, Expectation
from lora_tui.verify.sandbox import available, parses, why_unavailable
from lora_tui.verify.sandbox.languages import table
from lora_tui.verify.sandbox.toolchain import toolchain
from lora_tui.verify.suites.reading import Reader
from lora_tui.verify.suites.suite import Suite


class Finding(msgspec.Struct, frozen=True):
    """Something to know about a suite file. An error keeps it from being used."""

    level: Literal["error", "note"]
    what: str
    where: str  # file, and line where it is one


def examined(path: Path) -> tuple[Suite | None, list[Finding]]:
    """The suite, None with errors, and everything found. Nothing is executed."""
    suite, problems = Reader(path).read()
    if suite is None:
        return None, [Finding("error", item.what, item.where) for item in problems]
    return suite, [Finding("note", text, str(path)) for text in _notes(suite)]


def _notes(suite: Suite) -> Iterator[str]:
    asked = Counter(case.prompt for case in suite.cases)
    for prompt, times in asked.items():
        if times > 1:
            yield f"asked {times} times: {' '.join(prompt.split())[:60]!r}"
    unjudged: Counter[str] = Counter()
    for case in suite.cases:
        reasons = [why for item in case.expectations if item.weight and (why := _not_run(item))]
        unjudged.update(reasons[:1])
    for why, count in unjudged.items():
        yield f"{count} of {len(suite.cases)} prompts cannot be judged here: {why}"


def _not_run(wanted: Expectation) -> str:
    if wanted.kind not in CODE_KINDS:
        return "" if wanted.kind == "latency" else CARRIED.get(wanted.kind, "")
    language = str(wanted.value["language"])
    if wanted.kind == "x-code-parses":
        result = parses(language, "x")
        return result.why if result.verdict == "not run" else ""
    if language not in table().languages:
        return f"no way to run {language} is known"
    sandbox = available(language)
    if sandbox is None:
        return why_unavailable(language)
    if sandbox.name in ("docker", "podman"):
        return ""
    tools = toolchain(language)
    return tools if isinstance(tools, str) else ""
