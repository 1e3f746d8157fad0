"""The two lines over the rows: which of them are listed, and what the audit says of the version."""

from __future__ import annotations

from lora_tui.dataset.model import Dataset
from lora_tui.jobs.audit import Audited
from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.version.audit_lines import summary
from lora_tui.tui.screens.version.models import Choice
from lora_tui.tui.screens.version.shown import Shown
from lora_tui.tui.widgets.live_lines import Line
from lora_tui.tui.wording import many


def listed_line(dataset: Dataset, listed: int, total: int, shown: Shown) -> Line:
    """The version, how many of its rows are listed, and which."""
    rows = many(total, "row") if shown.everything else f"{listed:,} of {many(total, 'row')}"
    which = " · ".join(part for part in (shown.split, shown.finding, f"“{shown.words}”" if shown.words else "") if part)
    line: Line = [(one_line(dataset.label), "strong"), (f"  {rows}", "")]
    return [*line, (f"  {which}", "accent")] if which else line


def audit_line(model: Choice | None, audited: Audited | None, progress: str) -> Line:
    """What was found with this model, how far finding it is, or what to press."""
    if model is None:
        return [("m chooses the model to look at it with", "muted")]
    name = f"{model.profile.name}, max_length {model.profile.training.max_length:,}"
    if progress:
        return [(progress, "accent"), (f"  {name}; S stops it", "muted")]
    if audited is None:
        return [(f"not audited for {name}: a counts and checks it", "muted")]
    tone = "bad" if audited.errors else "warn" if audited.findings else "good"
    return [(summary(audited), tone), (f"  {name}", "muted")]
