"""Dataset versions as rows of a list."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.dataset.model import SPLITS, Dataset
from lora_tui.tui.safe_text import age, one_line
from lora_tui.tui.widgets.virtual_list import Cell, Column

_LEAST = {"train": 12, "validation": 15, "test": 9}  # cells of a split's column


class VersionRows:
    """A RowSource over versions, newest first."""

    def __init__(self, datasets: Sequence[Dataset], now: float) -> None:
        self.datasets = datasets
        self._now = now

    def __len__(self) -> int:
        return len(self.datasets)

    def columns(self, width: int) -> Sequence[Column]:
        """Name, rows per split, languages, age."""
        most = {name: max((item.manifest.rows.get(name, 0) for item in self.datasets), default=0) for name in SPLITS}
        return (
            Column(18),
            *(Column(max(len(self._told(most[name], name)) + 1, least), right=True) for name, least in _LEAST.items()),
            Column(0),
            Column(3, right=True),
        )

    def cells(self, index: int) -> Sequence[Cell]:
        """One version."""
        manifest = self.datasets[index].manifest
        return (
            Cell(one_line(self.datasets[index].label)),
            *(Cell(self._told(manifest.rows.get(name, 0), name)) for name in SPLITS),
            Cell("  " + one_line(", ".join(manifest.by_language)), "muted"),
            Cell(age(int(manifest.created * 1000), self._now), "muted"),
        )

    @staticmethod
    def _told(rows: int, split: str) -> str:
        return f"{rows:,} {split}"
