"""The runs as rows of a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lora_tui.tui.safe_text import age, one_line
from lora_tui.tui.screens.monitor.watch import RunRow
from lora_tui.tui.widgets.virtual_list import Cell, Column
from lora_tui.tui.wording import STATES


class RunRows:
    """A RowSource over the rows of a look."""

    def __init__(self, rows: Sequence[RunRow], now: float, letters: Mapping[str, str] | None = None) -> None:
        self.rows = rows
        self.letters = letters or {}  # of the marked runs
        self.now = now

    def __len__(self) -> int:
        return len(self.rows)

    def columns(self, width: int) -> Sequence[Column]:
        """Mark, title, state, steps, loss, age."""
        return (Column(1), Column(0), Column(8), Column(11, right=True), Column(6, right=True), Column(3, right=True))

    def cells(self, index: int) -> Sequence[Cell]:
        """One run."""
        row = self.rows[index]
        mark, tone = STATES[row.state]
        if letter := self.letters.get(row.id):
            mark = letter
        steps = f"{row.done}/{row.total}" if row.total else str(row.done or "")
        return (
            Cell(mark, tone),
            Cell(one_line(row.title) + (f" · {row.origin}" if row.origin else "")),
            Cell(row.state, tone),
            Cell(steps),
            Cell(f"{row.loss:.3f}" if row.loss is not None else "", "muted"),
            Cell(self._age(row), "muted"),
        )

    def take(self, new: RunRows) -> None:
        """Become `new`."""
        self.rows, self.now, self.letters = new.rows, new.now, new.letters

    def changed(self, new: RunRows) -> list[int] | None:
        """The rows that look different in `new`; None when its runs are not the same ones."""
        if [row.id for row in self.rows] != [row.id for row in new.rows]:
            return None
        return [index for index in range(len(self)) if self.cells(index) != new.cells(index)]

    def _age(self, row: RunRow) -> str:
        seconds = self.now - row.created
        return "now" if seconds < 60 else age(int(row.created * 1000), self.now)
