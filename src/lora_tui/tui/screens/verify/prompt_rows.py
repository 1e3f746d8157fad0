"""The prompts of a comparison as rows of a list."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.verify.comparison import Comparison, Prompt, Reply
from lora_tui.tui.widgets.virtual_list import Cell, Column

MARKS = {
    "waiting": ("·", "muted"),
    "writing": ("…", "accent"),
    "passed": ("✓", "good"),
    "failed": ("✗", "bad"),
    "not run": ("–", "muted"),
    "error": ("!", "bad"),
    "answered": ("•", ""),
}
TITLES = {"baseline": "baseline", "tuned": "fine-tune"}
_SHORT = {"baseline": "base", "tuned": "tuned"}
_TONES = {"lost": "bad", "worse": "bad", "gained": "good", "better": "good", "unjudged": "warn"}
_NUMBER, _RATE, _GROUP, _LANGUAGE = 3, 5, 9, 10  # cells


class PromptRows:
    """A RowSource over prompts: number, how each side did, what that makes of it, language, what it is about."""

    def __init__(self, found: Comparison, prompts: Sequence[Prompt]) -> None:
        self.prompts = prompts
        self._sides = [side.label for side in found.sides]
        self._languages = bool(found.languages)

    def __len__(self) -> int:
        return len(self.prompts)

    def columns(self, width: int) -> Sequence[Column]:
        """As the heading says."""
        rates = [Column(_RATE, right=True)] * len(self._sides)
        language = [Column(_LANGUAGE)] if self._languages else []
        return (Column(_NUMBER, right=True), *rates, Column(_GROUP), *language, Column(0))

    @property
    def ticking(self) -> int:
        """The cells at the left that change while answers come."""
        return 2 + _NUMBER + (1 + _RATE) * len(self._sides) + _GROUP

    @property
    def heading(self) -> str:
        """The names of the columns."""
        names = [_SHORT.get(side, side.replace("other ", "+")).rjust(_RATE) for side in self._sides]
        language = ["language".ljust(_LANGUAGE)] if self._languages else []
        return " " + " ".join(["#".rjust(_NUMBER), *names, "".ljust(_GROUP), *language, "prompt"])

    def cells(self, index: int) -> Sequence[Cell]:
        """One prompt."""
        found = self.prompts[index]
        language = [Cell(one_line(found.language), "muted")] if self._languages else []
        return (
            Cell(str(found.number), "muted"),
            *(_rate(found.replies.get(side, ())) for side in self._sides),
            Cell(found.group, _TONES.get(found.group, "muted")),
            *language,
            Cell(one_line(found.description)),
        )

    def changed(self, new: PromptRows) -> list[int] | None:
        """The rows that look different in `new`; None when its prompts are others or in another order."""
        if [item.number for item in self.prompts] != [item.number for item in new.prompts]:
            return None
        return [index for index in range(len(self)) if self.cells(index) != new.cells(index)]


def _rate(replies: Sequence[Reply]) -> Cell:
    """A mark for one sample; for several 3/5, passed of judged, with `…` while some are to come, `!` for errors."""
    if len(replies) == 1:
        return Cell(*MARKS[replies[0].outcome])
    passed = sum(item.outcome == "passed" for item in replies)
    judged = passed + sum(item.outcome == "failed" for item in replies)
    begun = any(item.outcome != "waiting" for item in replies)
    if not all(item.complete for item in replies):
        if not begun:
            return Cell(*MARKS["waiting"])
        return Cell(f"{passed}/{judged}…" if judged else "…", "accent")
    errors = "!" if any(item.outcome == "error" for item in replies) else ""
    if not judged:
        return Cell(*MARKS["error" if errors else "not run"])
    tone = "good" if passed == judged else "bad" if not passed else "warn"
    return Cell(f"{passed}/{judged}{errors}", "bad" if errors else tone)
