"""The rows of a version as rows of a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lora_tui.tui.screens.version.row_index import RowIndex
from lora_tui.tui.widgets.virtual_list import Cell, Column

_LANGUAGE = 10
_SPLITS = {"train": "train", "validation": "valid", "test": "test"}
_TONES = {"error": "bad", "warning": "warn", "note": "muted"}
_MARKS = {"error": "✗", "warning": "!", "note": "·"}


class VersionRowList:
    """A RowSource over some rows of a version; `marks` are the gravest finding of each row's id."""

    def __init__(self, index: RowIndex, numbers: Sequence[int], marks: Mapping[str, str]) -> None:
        self.index = index
        self.numbers = numbers
        self._marks = marks
        self._wide = False

    def __len__(self) -> int:
        return len(self.numbers)

    def columns(self, width: int) -> Sequence[Column]:
        """Finding, split, language, request; wider: source; size."""
        self._wide = width >= 100
        source = [Column(11)] if self._wide else []
        return [Column(1), Column(5), Column(_LANGUAGE), Column(0), *source, Column(6, True)]

    def cells(self, index: int) -> Sequence[Cell]:
        """One row."""
        found = self.index.brief(self.numbers[index])
        severity = self._marks.get(found.id, "")
        source = [Cell(found.source, "muted")] if self._wide else []
        request = f"({found.note}) {found.request}" if found.note else found.request
        return [
            Cell(_MARKS.get(severity, ""), _TONES.get(severity, "")),
            Cell(_SPLITS[found.split], "" if found.split == "train" else "muted"),
            Cell(found.language, "accent"),
            Cell(request, "" if found.turns else "muted"),
            *source,
            Cell(_size(found.characters), "muted"),
        ]


def _size(characters: int) -> str:
    return f"{characters}" if characters < 1000 else f"{characters / 1000:.1f}k" if characters < 99_500 else "99k+"
