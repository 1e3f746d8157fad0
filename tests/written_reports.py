"""Reports made of given answers, written where the workspace keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lora_tui.jobs.checks import Expectation
from lora_tui.jobs.journal import Answer
from lora_tui.verify.reports import files as report_files
from lora_tui.verify.reports.concluding import Heard, conclude
from lora_tui.verify.reports.report import Report
from lora_tui.verify.suites.suite import Case, Suite
from lora_tui.workspace.layout import Workspace

Texts = Sequence[str]  # the samples of one prompt; "!" and a reason: it could not be had


def written(
    workspace: Workspace,
    answers: Mapping[str, Sequence[Texts]],
    *,
    identity: str = "r1",
    expectations: Sequence[Expectation] = (),
) -> Report:
    """A report in which `answers[side][prompt]` were said, on disk. Sides are named as endpoints `openai:…#side`."""
    many = len(next(iter(answers.values())))
    cases = tuple(Case(f"case {number}", f"question {number}", tuple(expectations)) for number in range(many))
    suite = Suite("written", "", Path("written.yaml"), cases)
    said = [
        Answer(
            prompt=prompt,
            side=side,
            sample=sample,
            text="" if text.startswith("!") else text,
            error=text.removeprefix("!") if text.startswith("!") else "",
        )
        for side, prompts in answers.items()
        for prompt, texts in enumerate(prompts)
        for sample, text in enumerate(texts)
    ]
    sides = {side: f"openai:http://127.0.0.1:1/v1#{side}" for side in answers}
    made = conclude(identity, suite, sides, Heard.of(said))
    report_files.write(made, workspace.reports / identity)
    return made
