"""Dataset versions as rows of a list."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.dataset.model import SPLITS, Dataset
from lora_tui.tui.safe_text import age, one_line
from lora_tui.tui.widgets.virtual_list import Cell, Column


class VersionRows:
    """A RowSource over versions, newest first."""

    def __init__(self, datasets: Sequence[Dataset], now: float) -> None:
        self.datasets = datasets
        self._now = now

    def __len__(self) -> int:
        return len(self.datasets)

    def columns(self, width: int) -> Sequence[Column]:
        """Name, rows per split, languages, age."""
        return (
            Column(18),
            *(Column(size, right=True) for size in (12, 15, 9)),
            Column(0),
            Column(3, right=True),
        )

    def cells(self, index: int) -> Sequence[Cell]:
        """One version."""
        manifest = self.datasets[index].manifest
        return (
            Cell(one_line(self.datasets[index].label)),
            *(Cell(f"{manifest.rows.get(name, 0):,} {name}") for name in SPLITS),
            Cell("  " + one_line(", ".join(manifest.by_language)), "muted"),
            Cell(age(int(manifest.created * 1000), self._now), "muted"),
        )
