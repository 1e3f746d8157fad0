"""What changed from one version to another, as a page."""

from __future__ import annotations

from itertools import islice

import msgspec

from lora_tui.dataset.diff import compared
from lora_tui.dataset.model import Dataset
from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.dataset.pages import WIDTH
from lora_tui.tui.widgets.wrap import wrap

_ROWS = 200
_MARKS = {"added": "+", "removed": "-", "changed": "~", "moved": ">"}


def page(before: Dataset, after: Dataset) -> str:
    """The sums, what was asked for differently, then the rows. Raises BadInput where a row cannot be read."""
    with compared(before, after) as (sums, changes):
        lines = [
            f"{sums.before} → {sums.after}" + (": the same files" if sums.identical else ""),
            f"{sums.same:,} the same, {sums.added:,} added, {sums.removed:,} removed, {sums.changed:,} changed,"
            f" {sums.moved:,} moved to another split",
            "",
        ]
        for counts in (sums.rows, sums.languages):
            lines += [f"{name:14} {old:>9,} → {new:>9,}" for name, (old, new) in counts.items()]
            lines.append("")
        for item in sums.settings:
            lines += wrap(one_line(f"{item.name}: {_value(item.before)} → {_value(item.after)}"), WIDTH)
        lines += [""] if sums.settings else []
        for change in islice(changes, _ROWS):
            where = change.split or change.split_before
            if change.what == "moved":
                where = f"{change.split_before} → {change.split}"
            lines.append(f"{_MARKS[change.what]} {change.id[:12]:12} {change.language:12} {change.what} {where}")
        total = sums.added + sums.removed + sums.changed + sums.moved
        if total > _ROWS:
            lines.append(f"and {total - _ROWS:,} more: lora-tui dataset diff {sums.before} {sums.after}")
    return "\n".join(lines)


def _value(value: object) -> str:
    """A setting as a person writes it."""
    if value in (None, "", [], (), {}):
        return "nothing"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
