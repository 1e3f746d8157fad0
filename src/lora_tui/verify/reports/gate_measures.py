"""Gates on what has no interval: seconds, bytes, nats of forgetting. What was measured decides."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

from lora_tui.adapters.metadata import Metadata
from lora_tui.jobs.journal import Answer
from lora_tui.verify.reports.report import TUNED, Gate, Report
from lora_tui.workspace.profiles.conditions import Condition

_ENOUGH = 0.5  # share of the prompts that must have been answered in this run


def latency(wanted: Condition, report: Report, undecidable: str) -> Gate:
    """Mean seconds of the answers that were made in this run."""
    return _seconds(wanted, report, undecidable, lambda answer: answer.seconds)


def first_token(wanted: Condition, report: Report, undecidable: str) -> Gate:
    """The same until the first token."""
    return _seconds(wanted, report, undecidable, lambda answer: answer.first_token_seconds)


def _seconds(wanted: Condition, report: Report, undecidable: str, of: Callable[[Answer], float]) -> Gate:
    if undecidable:
        return Gate(wanted.text, None, detail=undecidable)
    made = [[one for one in item.answers.get(TUNED, ()) if not one.cached] for item in report.outcomes]
    times = [of(answer) for some in made for answer in some]
    if not times:
        return Gate(wanted.text, None, detail="every answer was kept from an earlier run; --fresh asks anew")
    flight = f"{len(times)} answers, {report.side(TUNED).at_once} in flight"
    measured = f"{fmean(times):.2f} s"
    asked = sum(bool(some) for some in made)
    if asked < _ENOUGH * len(made):
        why = f"only {asked} of {len(made)} prompts were asked in this run; --fresh asks all anew"
        return Gate(wanted.text, None, measured, f"{why}; {flight}")
    return Gate(wanted.text, wanted.met_by(fmean(times)), measured, flight)


def memory(wanted: Condition, report: Report, undecidable: str) -> Gate:
    """The most bytes that the fine-tune's server took on this machine while it answered, RAM and GPU together."""
    if undecidable:
        return Gate(wanted.text, None, detail=undecidable)
    side = report.side(TUNED)
    if not side.rss_bytes and not side.vram_bytes:
        return Gate(wanted.text, None, detail="not measured: its process is not on this machine, or cannot be seen")
    taken = side.rss_bytes + side.vram_bytes
    measured = f"{taken / 1e9:.2f} GB"
    detail = f"{side.rss_bytes / 1e9:.2f} GB of RAM, {side.vram_bytes / 1e9:.2f} GB of GPU memory"
    if side.answers == side.cached:
        why = "it was asked nothing in this run; --fresh asks anew"
        return Gate(wanted.text, None, measured, f"{why}; {detail}")
    return Gate(wanted.text, wanted.met_by(taken), measured, detail)


def forgetting(wanted: Condition, metadata: Metadata | None) -> Gate:
    """How far training raised the loss on held general conversations, nats per token; it stands with the adapter."""
    if metadata is None:
        return Gate(wanted.text, None, detail="the fine-tune is no registered adapter, so nobody measured it")
    before, after = metadata.general_loss_before, metadata.general_loss
    if before is None or after is None:
        return Gate(wanted.text, None, detail="not measured when it was made (forgetting.measure)")
    detail = f"general loss {before:.3f} before, {after:.3f} after"
    return Gate(wanted.text, wanted.met_by(after - before), f"{after - before:+.3f} nats per token", detail)
