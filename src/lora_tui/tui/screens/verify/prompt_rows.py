"""The prompts of a comparison as rows of a list."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.verify.comparison import Prompt
from lora_tui.tui.widgets.virtual_list import Cell, Column

MARKS = {
    "waiting": ("·", "muted"),
    "writing": ("…", "accent"),
    "passed": ("✓", "good"),
    "failed": ("✗", "bad"),
    "error": ("!", "bad"),
}
_CHANGES = {"lost": "bad", "gained": "good", "": ""}
HEADING = "   # base  tuned          prompt"


class PromptRows:
    """A RowSource over prompts."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self.prompts = prompts

    def __len__(self) -> int:
        return len(self.prompts)

    def columns(self, width: int) -> Sequence[Column]:
        """Number, both marks, what changed, what it is about; as HEADING says."""
        return (Column(3, right=True), Column(4, right=True), Column(6, right=True), Column(8, right=True), Column(0))

    def cells(self, index: int) -> Sequence[Cell]:
        """One prompt."""
        found = self.prompts[index]
        (before, before_tone), (after, after_tone) = MARKS[found.baseline.outcome], MARKS[found.tuned.outcome]
        return (
            Cell(str(found.number), "muted"),
            Cell(before, before_tone),
            Cell(after, after_tone),
            Cell(found.change, _CHANGES[found.change]),
            Cell(one_line(found.description)),
        )

    def changed(self, new: PromptRows) -> list[int] | None:
        """The rows that look different in `new`; None when its prompts are others or in another order."""
        if [item.number for item in self.prompts] != [item.number for item in new.prompts]:
            return None
        return [index for index in range(len(self)) if self.cells(index) != new.cells(index)]
