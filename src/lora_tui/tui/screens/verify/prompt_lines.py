"""What was asked, over its answers, with what people noted."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.tui.safe_text import fit, one_line, plain
from lora_tui.tui.screens.verify.comparison import Prompt
from lora_tui.tui.widgets.live_lines import Line
from lora_tui.tui.widgets.wrap import wrap

_KEYS = "← → other samples"
_YOU = "you "


def prompt_lines(found: Prompt, note: str, most: int, width: int) -> Sequence[Line]:
    """The prompt on one line, or on as many as `most` as it is written; how often it was asked again, and the note."""
    hint = f"  {_KEYS}" if found.samples > 1 else ""
    again = f"asked again {found.asked_again}×" if found.asked_again else ""
    said = "  ".join(part for part in (again, f"note: {one_line(note)}" if note else "") if part)
    first, *rest = _within(plain(found.prompt) if most > 1 else one_line(found.prompt), width - len(_YOU + hint), most)
    return [
        [(_YOU, "accent"), (fit(first, width - len(_YOU + hint)), ""), (hint, "muted")],
        *([(" " * len(_YOU) + line, "")] for line in rest),
        *([(line, "warn")] for line in _within(said, width, most) if line),
    ]


def _within(text: str, width: int, most: int) -> list[str]:
    """The text as at most so many lines, without the empty ones; the last says where there is more."""
    lines = [piece for line in text.split("\n") if line.strip() for piece in wrap(line, width)] or [""]
    if len(lines) > most:
        lines = [*lines[: most - 1], fit(" ".join(lines[most - 1 :]), width)]
    return lines
