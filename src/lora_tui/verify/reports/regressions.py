"""In which order prompts are looked at: what the fine-tune broke first, what it never could next, what it can last."""

from __future__ import annotations

from lora_tui.verify.reports.report import TUNED, Outcome, Report

_CHANGES = {"lost": 0, "worse": 1, "better": 4, "gained": 5}


def in_order(report: Report) -> list[tuple[int, Outcome]]:
    """Every prompt with its number from 1, regressions first, within a kind in the suite's order."""
    numbered = list(enumerate(report.outcomes, start=1))
    return sorted(numbered, key=lambda item: (_rank(item[1]), item[0]))


def _rank(outcome: Outcome) -> int:
    if outcome.change:
        return _CHANGES[outcome.change]
    rate = outcome.rate(TUNED)
    return 3 if rate is None else 2 if rate < 1 else 6
