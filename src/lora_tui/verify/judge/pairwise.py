"""Two answers at a time: the judge is asked in both orders, because many prefer whatever stands first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from lora_tui.verify.judge import reading, wording
from lora_tui.verify.judge.asking import Judge, Silent
from lora_tui.verify.judge.judgements import Judgement
from lora_tui.verify.votes import Pair


async def compare(
    judge: Judge, pairs: Sequence[Pair], write: Callable[[Judgement], None], rubric: str = wording.BETTER
) -> None:
    """Judge every pair, several at once, each written as it is done: an interruption costs those under way."""
    left = list(pairs)[::-1]

    async def work() -> None:
        while left:
            write(await _judged(judge, left.pop(), rubric))

    workers = [asyncio.create_task(work()) for _ in range(judge.at_once)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()


async def _judged(judge: Judge, pair: Pair, rubric: str) -> Judgement:
    made = Judgement(
        prompt=pair.prompt,
        first=pair.first,
        second=pair.second,
        judge=judge.endpoint.name,
        rubric=rubric,
        first_sample=pair.first_sample,
        second_sample=pair.second_sample,
        about=pair.about,
        engine=judge.identity.engine,
        model=judge.identity.model,
        digest=judge.identity.digest,
        time=time.time(),
    )
    orders = ((pair.first_text, pair.second_text), (pair.second_text, pair.first_text))
    try:
        forward, backward = [
            await judge.verdict(wording.choosing(pair.question, *texts, rubric), reading.preference) for texts in orders
        ]
    except Silent as silent:
        return replace(made, not_run=silent.what)
    return replace(made, forward=forward.better, backward=backward.better, reasons=(forward.reason, backward.reason))
