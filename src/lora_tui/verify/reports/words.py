"""What of a report people read in more than one place, in words."""

from __future__ import annotations

from lora_tui.jobs.journal import Check
from lora_tui.verify.reports.report import Gate
from lora_tui.verify.statistics import Interval, Rate

_GATES = {True: "✓ passed   ", False: "✗ FAILED   ", None: "? undecided"}


def rate_words(rate: Rate | None) -> str:
    """A pass rate: "4 of 5 (80 %)"."""
    if rate is None:
        return "nothing"
    return f"{rate.passed} of {rate.samples} ({100 * rate.value:.0f} %)"


def percents(interval: Interval) -> str:
    """An interval of a share: "56.6 to 100 %"."""
    return f"{percent(interval.low).removesuffix(' %')} to {percent(interval.high)}"


def percent(share: float) -> str:
    """A share: "98 %", "96.4 %"."""
    return f"{100 * share:.1f} %".replace(".0 %", " %")


def gate_words(gate: Gate) -> str:
    """A gate in one line."""
    said = ": ".join(part for part in (gate.measured, gate.detail) if part)
    return f"{_GATES[gate.passed]}  {gate.text}" + (f"  ({said})" if said else "")


def check_words(check: Check) -> str:
    """An expectation and whether it was met, in one line."""
    if check.not_run:
        return f"– {check.expectation}: not run, {check.not_run}"
    detail = f" ({check.detail})" if check.detail and not check.passed else ""
    return f"{'✓' if check.passed else '✗'} {check.expectation}{detail}"
