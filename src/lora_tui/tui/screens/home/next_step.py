"""The next sensible step, as one sentence and the place where it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lora_tui.tui.screens.home.overview import Overview


class Step(NamedTuple):
    """What to do next and the screen it is done on ('' where there is nothing to go to)."""

    sentence: str
    screen: str


def next_step(overview: Overview) -> Step:
    """The first stage that waits for the person."""
    if overview.running and overview.run is not None and overview.run.state == "running":
        return Step(f"{overview.run.title} is training. Watch it.", "monitor")
    if not overview.examples:
        if overview.sessions:
            return Step("The sessions hold no candidates. Read more of your agent's history with i.", "")
        return Step("Nothing is here yet. Read your agent's history with i, or see the whole loop with d.", "")
    if not overview.accepted:
        top = overview.languages[0].language if overview.languages else "examples"
        return Step(f"Read a few {top} examples and accept the good ones.", "sessions")
    if overview.dataset is None and not any(
        item.accepted for item in overview.languages if item.language not in ("none", "mixed")
    ):
        return Step("What you accepted has no language yet. Give it one with 1 to 9, or accept more.", "sessions")
    if overview.dataset is None:
        return Step(
            f"{_many(overview.accepted, 'example')} accepted so far. Build a dataset, or accept more.", "dataset"
        )
    run = overview.run
    if run is None or (run.dataset and run.dataset != overview.dataset.label and run.state != "running"):
        return Step(f"{overview.dataset.label} is ready. Train on it.", "train")
    if run.state in ("failed", "stopped"):
        return Step(f"{run.title} {run.state} at step {run.step}. See why, or resume it.", "monitor")
    report = overview.report
    if run.state == "finished" and (report is None or report.created < run.created):
        return Step(f"{run.title} is trained. Compare it with its baseline.", "verify")
    if overview.unverified_merge:
        return Step(
            f"{overview.unverified_merge} is merged and not verified yet. Compare it with its base.", "adapters"
        )
    if report is not None and report.good:
        label = report.tuned_name.removeprefix("adapter:")
        if label in overview.adapters and label not in overview.production:
            return Step(f"{label} {report.good} and is not in production. Promote it.", "adapters")
    if overview.accepted_since and overview.production:
        accepted = _many(overview.accepted_since, "example")
        return Step(f"{accepted} accepted since {overview.dataset.label}. c starts a cycle with them.", "dataset")
    if overview.accepted_since:
        return Step(
            f"{_many(overview.accepted_since, 'example')} accepted since {overview.dataset.label}. Build the next one.",
            "dataset",
        )
    if report is not None and report.failing:
        many = f"{_many(report.failing, 'prompt')} still fail{'s' if report.failing == 1 else ''}"
        return Step(f"{many}. Read why.", "verify")
    return Step(f"{_many(overview.unlabelled, 'example')} not looked at yet. Go on labelling.", "sessions")


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
