"""The pass rate of one side of a report, over the prompts that were judged of it."""

from __future__ import annotations

from lora_tui.verify.reports.report import Outcome, Report, passed, verdict_of
from lora_tui.verify.statistics import Rate, rate


def rate_of(report: Report, label: str) -> Rate | None:
    """Its rate with Wilson's interval; None where nothing of it was judged."""
    judged = [samples for outcome in report.outcomes if (samples := judged_samples(outcome, label))]
    return rate(judged) if judged else None


def judged_samples(outcome: Outcome, label: str) -> list[bool]:
    """Whether each answer of a side passed; none where one of them could not be judged."""
    answers = [answer for answer in outcome.answers.get(label, ()) if not answer.error]
    if any(verdict_of(answer) == "not run" for answer in answers):
        return []
    return [passed(answer) for answer in answers]
