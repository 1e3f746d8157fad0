"""llm-rubric: the judge reads prompt, answer and rubric. What it does not judge stays "not run", with the reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from lora_tui.jobs import checks
from lora_tui.jobs.checks import Expectation
from lora_tui.jobs.journal import Answer, Check, Judged
from lora_tui.verify.code_checks import checked
from lora_tui.verify.judge import reading, wording
from lora_tui.verify.judge.asking import Judge, Silent
from lora_tui.verify.running.order import Place
from lora_tui.verify.suites.suite import Case
from lora_tui.workspace.errors import LoraTuiError

RUBRIC = "llm-rubric"
_REASON = 400  # characters of a judge's reason that are kept


def waiting(cases: Sequence[Case], answers: Mapping[tuple[int, str, int], Answer]) -> list[Place]:
    """The answers that a judge is still to read, in their order."""
    return [
        Place(*place)
        for place, answer in sorted(answers.items())
        if place[0] < len(cases) and not answer.error and _waits(cases[place[0]], answer)
    ]


async def grade(
    judge: Judge,
    cases: Sequence[Case],
    answers: Mapping[tuple[int, str, int], Answer],
    places: Iterable[Place],
    write: Callable[[Judged], None],
    is_stopped: Callable[[], bool],
) -> bool:
    """Have the answers at `places` judged, several at once, each written as it is done; False when it was stopped."""
    left = list(places)[::-1]

    async def work() -> None:
        while left and not is_stopped():
            place = left.pop()
            judged = await _judged(judge, cases[place.prompt], answers[place])
            write(Judged(prompt=place.prompt, side=place.side, sample=place.sample, checks=judged))

    workers = [asyncio.create_task(work()) for _ in range(judge.at_once)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    return not left


def without(cases: Sequence[Case], answer: Answer, error: LoraTuiError) -> Judged:
    """An answer that no judge could be asked about, and why."""
    judged = tuple(
        checks.skipped(wanted, f"no judge: {error.what}") if check.not_run and _asks(wanted) else check
        for wanted, check in zip(cases[answer.prompt].expectations, answer.checks, strict=True)
    )
    return Judged(prompt=answer.prompt, side=answer.side, sample=answer.sample, checks=judged)


def _waits(case: Case, answer: Answer) -> bool:
    if len(case.expectations) != len(answer.checks):  # the suite was changed since
        return False
    return any(check.not_run and _asks(wanted) for wanted, check in zip(case.expectations, answer.checks, strict=True))


def _asks(wanted: Expectation) -> bool:
    """Whether it is for a judge, or holds one that is."""
    return wanted.kind == RUBRIC or (wanted.type == checks.SET and any(map(_asks, wanted.value)))


async def _judged(judge: Judge, case: Case, answer: Answer) -> tuple[Check, ...]:
    return tuple(
        [
            await _check(judge, case.prompt, wanted, answer) if check.not_run and _asks(wanted) else check
            for wanted, check in zip(case.expectations, answer.checks, strict=True)
        ]
    )


async def _check(judge: Judge, prompt: str, wanted: Expectation, answer: Answer) -> Check:
    if wanted.kind == RUBRIC:
        return await _rubric(judge, prompt, wanted, answer.text)
    if _asks(wanted):
        return checks.together(wanted, [await _check(judge, prompt, item, answer) for item in wanted.value])
    (found,) = await asyncio.to_thread(checked, [wanted], answer.text, seconds=answer.seconds)
    return found


async def _rubric(judge: Judge, prompt: str, wanted: Expectation, text: str) -> Check:
    question = wording.grading(prompt, text, wanted.value)
    try:
        made = await judge.verdict(question, partial(reading.grade, threshold=wanted.threshold))
    except Silent as silent:
        return checks.skipped(wanted, silent.what)
    return checks.found(wanted, made.passed, f"score {made.score:g}: {made.reason[:_REASON]}")
