"""What can be read about a version besides its own page: what was left out, whether it is as it was built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from lora_tui.dataset import versions
from lora_tui.dataset.check import troubles
from lora_tui.dataset.model import Dataset, Rejected
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.widgets.wrap import wrap

WIDTH = 72  # cells of a page in a window of 80 columns
_ROWS = 500
_INDENT = "  "


def left_out(dataset: Dataset) -> str:
    """Every reason with its number, then the rows. Raises BadInput for a line that cannot be read."""
    reasons: Counter[str] = Counter()
    lines: list[str] = []
    for number, item in enumerate(versions.rejected(dataset)):
        reasons[item.reason] += 1
        if number < _ROWS:
            lines += _rejected(item)
    if not reasons:
        return f"Nothing was left out of {dataset.label}."
    head = [f"{number:>9,}  {one_line(reason)}" for reason, number in reasons.most_common()]
    if reasons.total() > _ROWS:
        lines.append(f"and {reasons.total() - _ROWS:,} more: lora-tui dataset rejected {dataset.label}")
    return "\n".join([*head, "", *lines])


def _rejected(item: Rejected) -> Iterator[str]:
    why = one_line(f"{item.reason}: {item.about}" if item.about else item.reason)
    who = f"{item.example}  " if item.example else ""
    yield fit(f"{who}{one_line(item.request) or why}", WIDTH).rstrip()
    if item.request:
        yield from (_INDENT + piece for piece in wrap(why, WIDTH - len(_INDENT)))


def verified(dataset: Dataset) -> str:
    """Whether every file and line is what was built."""
    found = list(islice(troubles(dataset), _ROWS + 1))
    if not found:
        return f"✓ {dataset.label} is what was built: hashes, every line, members and groups."
    lines = [f"✗ {dataset.label} is not what was built", ""]
    for item in found[:_ROWS]:
        place = f"{item.file}:{item.line}" if item.line else item.file
        lines += wrap(one_line(f"{place}: {item.what}"), WIDTH)
    if len(found) > _ROWS:
        lines.append(f"and more: lora-tui dataset verify {dataset.label} --json")
    return "\n".join(lines)
