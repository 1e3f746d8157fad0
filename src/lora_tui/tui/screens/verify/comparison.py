"""A comparison as the screen shows it: from a finished report, or from a run that is going on (see `following`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from lora_tui.jobs.journal import Answer, Check
from lora_tui.verify.reports.report import BASELINE, TUNED, Fault, Report, Side, verdict_of
from lora_tui.verify.reports.report import Outcome as Asked

Outcome = Literal["waiting", "writing", "passed", "failed", "not run", "error", "answered"]
Group = Literal["lost", "worse", "both fail", "as before", "unjudged", "better", "gained", "both pass", ""]

GROUPS: tuple[Group, ...] = ("lost", "worse", "both fail", "as before", "unjudged", "", "better", "gained", "both pass")
"""In the order they are shown: regressions first. '' is what is not answered yet."""


class Reply(msgspec.Struct, frozen=True):
    """One sample of one side, as far as it is there; "answered" where nothing was expected of it."""

    outcome: Outcome = "waiting"
    text: str = ""
    checks: tuple[Check, ...] = ()
    error: str = ""
    tokens: int = 0
    seconds: float = 0.0
    cut: bool = False  # ended by max_tokens, not by itself
    cached: bool = False  # kept from an earlier run

    @property
    def complete(self) -> bool:
        """Whether nothing more of it will come."""
        return self.outcome not in ("waiting", "writing")


class Prompt(msgspec.Struct, frozen=True):
    """One prompt with every sample of every side, those that wait included."""

    number: int  # from 1, in the suite's order
    description: str
    prompt: str
    language: str
    replies: Mapping[str, tuple[Reply, ...]]  # by side
    group: Group = ""
    asked_again: int = 0

    @property
    def samples(self) -> int:
        """The most samples that a side has."""
        return max((len(some) for some in self.replies.values()), default=0)

    def reply(self, side: str, sample: int) -> Reply:
        """A sample; where a side has fewer, nothing that came."""
        some = self.replies.get(side, ())
        return some[sample] if sample < len(some) else Reply()

    @property
    def telling(self) -> int:
        """The sample to look at first: the one where the fine-tune did worse, or that is being written."""
        return max(range(self.samples), key=lambda sample: (self._tells(sample), -sample), default=0)

    def _tells(self, sample: int) -> int:
        before, after = self.reply(BASELINE, sample), self.reply(TUNED, sample)
        if after.outcome in ("failed", "error"):
            return 4 if before.outcome == "passed" else 3
        return 2 if "writing" in (before.outcome, after.outcome) else int(before.complete or after.complete)


class Comparison(msgspec.Struct, frozen=True):
    """A whole comparison; `result` once it is finished."""

    id: str
    suite: str
    sides: tuple[Side, ...]  # baseline and tuned first
    state: str
    done: int
    total: int  # answers
    prompts: tuple[Prompt, ...]  # in the suite's order
    result: Report | None = None
    stage: str = ""  # what it does where that is not asking, as "load base with coder@1.0.0"
    failure: str = ""
    faults: tuple[Fault, ...] = ()
    free: bool = False  # one prompt of nobody's suite, without a report
    notes: Mapping[int, str] = {}  # by the prompt's number
    voted: str = ""  # what blind votes say so far; empty: nobody voted

    @property
    def baseline(self) -> str:
        """The endpoint compared with, as typed."""
        return self.sides[0].endpoint

    @property
    def tuned(self) -> str:
        """The fine-tune's endpoint, as typed."""
        return self.sides[1].endpoint

    @property
    def languages(self) -> tuple[str, ...]:
        """What its prompts are about, where they are about several."""
        names = sorted({item.language for item in self.prompts if item.language})
        return tuple(names) if len(names) > 1 else ()


def of_report(found: Report) -> Comparison:
    """A finished comparison."""
    prompts = tuple(_prompt(number, item) for number, item in enumerate(found.outcomes, start=1))
    total = sum(len(some) for item in prompts for some in item.replies.values())
    return Comparison(
        id=found.id,
        suite=found.suite,
        sides=found.sides,
        state="finished",
        done=total,
        total=total,
        prompts=prompts,
        result=found,
        faults=found.faults,
    )


def _prompt(number: int, item: Asked) -> Prompt:
    return Prompt(
        number,
        item.description,
        item.prompt,
        item.language,
        {side: tuple(reply_of(answer) for answer in some) for side, some in item.answers.items()},
        group_of(item),
        item.asked_again,
    )


def group_of(item: Asked) -> Group:
    """Where a completely answered prompt belongs."""
    before, after = item.rate(BASELINE), item.rate(TUNED)
    if before is None or after is None:
        return "unjudged"
    if item.change:
        return item.change
    return "both pass" if after == 1 else "as before" if after else "both fail"


def reply_of(answer: Answer) -> Reply:
    """A complete answer."""
    return Reply(
        outcome="error" if answer.error else verdict_of(answer),
        text=answer.text,
        checks=answer.checks,
        error=answer.error,
        tokens=answer.tokens,
        seconds=answer.seconds,
        cut=not answer.stopped and not answer.error,
        cached=answer.cached,
    )
