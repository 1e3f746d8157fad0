"""What was asked, over its answers, with what people noted."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.screens.verify.comparison import Prompt
from lora_tui.tui.widgets.live_lines import Line

_KEYS = "← → other samples"


def prompt_lines(found: Prompt, note: str, width: int) -> Sequence[Line]:
    """The prompt on a line of its own; how often it was asked again, and the note, on another where there is any."""
    hint = f"  {_KEYS}" if found.samples > 1 else ""
    text = fit(one_line(found.prompt), width - 4 - len(hint))
    lines: list[Line] = [[("you ", "accent"), (text, ""), (hint, "muted")]]
    again = f"asked again {found.asked_again}×" if found.asked_again else ""
    if said := "  ".join(part for part in (again, f"note: {one_line(note)}" if note else "") if part):
        lines.append([(fit(said, width).rstrip(), "warn")])
    return lines
