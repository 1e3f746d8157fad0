"""A comparison as the screen shows it, from a finished report or from the journal of a run that is going on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.jobs.job import Verify
from lora_tui.jobs.journal import Answer, Check
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.verify import report
from lora_tui.verify.report import Report
from lora_tui.verify.statistics import Paired
from lora_tui.verify.suite import Suite, read_suite
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

Outcome = Literal["waiting", "writing", "passed", "failed", "error"]


class Side(msgspec.Struct, frozen=True):
    """One side's answer to one prompt, as far as it is there."""

    outcome: Outcome = "waiting"
    text: str = ""
    checks: tuple[Check, ...] = ()
    error: str = ""
    tokens: int = 0
    seconds: float = 0.0
    cut: bool = False  # ended by max_tokens, not by itself


class Prompt(msgspec.Struct, frozen=True):
    """One prompt with both sides."""

    number: int  # from 1, in the suite's order
    description: str
    prompt: str
    baseline: Side
    tuned: Side

    @property
    def change(self) -> str:
        """What the fine-tune did to it: lost, gained, or nothing that counts."""
        if {self.baseline.outcome, self.tuned.outcome} & {"waiting", "writing"}:
            return ""
        before, after = self.baseline.outcome == "passed", self.tuned.outcome == "passed"
        return "lost" if before and not after else "gained" if after and not before else ""


class Comparison(msgspec.Struct, frozen=True):
    """A whole comparison; `result` once it is finished. Regressions come first then, else the suite's order."""

    id: str
    suite: str
    baseline: str
    tuned: str
    state: str
    done: int
    prompts: tuple[Prompt, ...]
    result: Paired | None = None
    failure: str = ""


class Following:
    """Follows one verification run. Used by one thread at a time."""

    def __init__(self, workspace: Workspace, run: Run) -> None:
        self.run = run
        self._workspace = workspace
        self._view = RunView(run)
        self._suite: Suite | None = None

    def look(self) -> Comparison:
        """The run as it is now. Raises BadInput when its suite cannot be read any more."""
        view, job = self._view, self.run.file.job
        assert isinstance(job, Verify)
        view.refresh()
        if view.state == "finished":
            try:
                return of_report(report.load(self._workspace.reports / self.run.id))
            except LoraTuiError:
                pass
        if self._suite is None:
            self._suite = read_suite(Path(job.suite))
        prompts = tuple(
            Prompt(
                number + 1, case.description, case.prompt, self._side(number, "baseline"), self._side(number, "tuned")
            )
            for number, case in enumerate(self._suite.cases)
        )
        return Comparison(
            id=self.run.id,
            suite=self._suite.name,
            baseline=job.baseline,
            tuned=job.tuned,
            state=view.state,
            done=len(view.answers),
            prompts=prompts,
            failure=view.failure,
        )

    def _side(self, number: int, side: str) -> Side:
        answer = self._view.answers.get((number, side))
        if answer is not None:
            return side_of(answer)
        text = self._view.partial.get((number, side), "")
        return Side(outcome="writing", text=text) if text else Side()


def of_report(found: Report) -> Comparison:
    """A finished comparison, what was lost first."""
    prompts = [
        Prompt(number, item.description, item.prompt, side_of(item.baseline), side_of(item.tuned))
        for number, item in enumerate(found.outcomes, start=1)
    ]
    return Comparison(
        id=found.id,
        suite=found.suite,
        baseline=found.baseline,
        tuned=found.tuned,
        state="finished",
        done=2 * len(prompts),
        prompts=tuple(sorted(prompts, key=_weight)),
        result=found.result,
    )


def side_of(answer: Answer) -> Side:
    """A complete answer."""
    return Side(
        outcome="error" if answer.error else "passed" if report.passed(answer) else "failed",
        text=answer.text,
        checks=answer.checks,
        error=answer.error,
        tokens=answer.tokens,
        seconds=answer.seconds,
        cut=not answer.stopped and not answer.error,
    )


def _weight(prompt: Prompt) -> tuple[int, int]:
    if prompt.change:
        return (0 if prompt.change == "lost" else 2, prompt.number)
    return (3 if prompt.tuned.outcome == "passed" else 1, prompt.number)
