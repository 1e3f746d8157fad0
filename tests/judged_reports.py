"""Reports of which is said only what passed: as a journal would have had it, concluded for real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_tui.jobs.journal import Answer, AnyEvent, Asked, Check, Identified
from lora_tui.verify.reports.concluding import Heard, conclude
from lora_tui.verify.reports.report import Report
from lora_tui.verify.suites.suite import Case, Suite

GOOD = Check("contains 'good'", passed=True)
BAD = Check("contains 'good'", passed=False)
NOT_RUN = Check("llm-rubric 'is kind'", passed=False, not_run="no judge has read it")

Samples = Sequence[bool | str | None]  # passed or not; None: not judged; a text: the error instead of an answer


def judged(
    baseline: Sequence[Samples],
    tuned: Sequence[Samples],
    *,
    others: Sequence[Sequence[Samples]] = (),
    endpoints: Mapping[str, str] | None = None,
    languages: Sequence[str] = (),
    prompts: Sequence[str] = (),
    events: Sequence[AnyEvent] = (),
    answer: Mapping[str, Any] | None = None,
    identity: str = "r1",
    suite: Path = Path("dozen.yaml"),
    **more: Any,
) -> Report:
    """A report over as many prompts as there are rows; `answer` are further fields of each answer."""
    sides = {"baseline": baseline, "tuned": tuned}
    sides |= {f"other {number}": samples for number, samples in enumerate(others, start=1)}
    cases = tuple(
        Case(
            f"case {number}",
            prompts[number] if prompts else f"question {number}",
            (),
            language=languages[number % len(languages)] if languages else "",
        )
        for number in range(len(tuned))
    )
    said = [
        _answer(prompt, side, sample, passed, answer or {})
        for side, rows in sides.items()
        for prompt, samples in enumerate(rows)
        for sample, passed in enumerate(samples)
    ]
    known = [
        Identified(side=side, engine="llama.cpp", model=f"{side} model", version="b1", digest=f"d-{side}")
        for side in sides
    ]
    asked = [Asked(side=side, at_once=4) for side in sides]
    heard = Heard.of([*known, *asked, *said, *events])
    names = {side: f"openai:http://127.0.0.1:1/v1#{side.replace(' ', '-')}" for side in sides} | dict(endpoints or {})
    return conclude(identity, Suite(suite.stem, "", suite, cases), names, heard, **more)


def _answer(prompt: int, side: str, sample: int, passed: bool | str | None, more: Mapping[str, Any]) -> Answer:
    if isinstance(passed, str):
        return Answer(prompt=prompt, side=side, sample=sample, text="", error=passed, fault="hang", stopped=False)
    check = NOT_RUN if passed is None else GOOD if passed else BAD
    fields = {"text": f"{side} says it", "seconds": 2.0, "first_token_seconds": 0.5, "tokens": 16} | dict(more)
    return Answer(prompt=prompt, side=side, sample=sample, checks=(check,), **fields)
