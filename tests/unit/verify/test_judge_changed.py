"""A judge that is another one when a run goes on: one judge has read all, or none has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lora_tui.jobs import checks
from lora_tui.jobs.checks import Expectation
from lora_tui.jobs.journal import Answer, Identified, Judged
from lora_tui.verify.judge import in_run
from lora_tui.verify.reports.concluding import Heard
from lora_tui.verify.reports.report import passed
from lora_tui.verify.suites.suite import Case, Suite
from lora_tui.workspace.layout import Workspace
from scripted_endpoints import Scripted

RUBRIC = Expectation("llm-rubric", "Is kind")
SUITE = Suite("s", "", Path(), tuple(Case(f"c{n}", f"prompt {n}", (RUBRIC,)) for n in range(3)))
SIDES = {"baseline": "openai:http://h/v1#a", "tuned": "openai:http://h/v1#b"}


def judge(digest: str) -> Identified:
    """The judge as a journal names it."""
    return Identified(side="judge", engine="scripted", model="judge", digest=digest)


@pytest.mark.parametrize(("digest", "asked"), [("first", 4), ("second", 6)])
async def test_what_another_judge_has_read_is_read_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, digest: str, asked: int
) -> None:
    """The first passed the fine-tune on one prompt and not the baseline; this one passes nobody."""
    waits = (checks.skipped(RUBRIC, "no judge has read it"),)
    places = [(prompt, side) for prompt in range(3) for side in SIDES]
    heard = Heard.of(
        [
            *(Answer(prompt=prompt, side=side, text=f"{side} {prompt}", checks=waits) for prompt, side in places),
            judge("first"),
            *(Judged(prompt=0, side=side, checks=(checks.found(RUBRIC, side == "tuned", "score"),)) for side in SIDES),
        ]
    )
    endpoint = Scripted("judge", lambda question: '{"reason": "no", "pass": false, "score": 0}', digest=digest)

    @asynccontextmanager
    async def opened(*_: object, **__: object) -> AsyncIterator[list[Scripted]]:
        yield [endpoint]

    monkeypatch.setattr(in_run, "opened", opened)
    whole = await in_run.read(
        workspace, "openai:http://h/v1#judge", tmp(workspace), SUITE, SIDES, heard, heard.fold, lambda: False
    )
    assert whole
    assert len(endpoint.asked) == asked
    assert [place for place, answer in heard.answers.items() if passed(answer)] == (
        [(0, "tuned", 0)] if digest == "first" else []
    )


def tmp(workspace: Workspace) -> Path:
    """Where a run would lie."""
    return workspace.runs / "r"
