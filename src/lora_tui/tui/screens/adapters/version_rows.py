"""Adapter versions as rows of a list."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rich.cells import cell_len

from lora_tui.adapters.byte_text import size
from lora_tui.tui.safe_text import age, fit, one_line
from lora_tui.tui.screens.adapters.shelf import Item
from lora_tui.tui.widgets.virtual_list import Cell, Column

_MARK, _NAME, _ALIAS, _BASE, _NUMBER, _MOVED, _SIZE, _AGE = 2, 18, 10, 18, 5, 7, 7, 3
_ROOMY = 88  # cells, from which the base has a column where there are several
_MOST = 34  # cells of a long name, where there is room


class VersionRows:
    """A RowSource over versions, newest first. `marked` and `intact` are looked at whenever a row is drawn."""

    def __init__(self, items: Sequence[Item], marked: Collection[str], intact: Mapping[str, bool], now: float) -> None:
        self.items = items
        self.now = now
        self._marked, self._intact = marked, intact
        self._roomy = self._has_base = False

    def __len__(self) -> int:
        return len(self.items)

    def columns(self, width: int) -> Sequence[Column]:
        """As `heading` names them."""
        several = len({item.adapter.metadata.base for item in self.items if not item.problem}) > 1
        self._has_base, self._roomy = several and width >= _ROOMY, width >= _ROOMY
        base = (Column(_BASE),) if self._has_base else ()
        numbers = (Column(_NUMBER, right=True), Column(_NUMBER, right=True), Column(_MOVED, right=True))
        return (
            Column(_MARK),
            Column(self._name()),
            Column(_ALIAS),
            *base,
            Column(0),
            *numbers,
            Column(_SIZE, right=True),
            Column(_AGE, right=True),
        )

    def cells(self, index: int) -> Sequence[Cell]:
        """One version. A trained one says its dataset, a merge its strategy and of how many."""
        item = self.items[index]
        about = item.adapter.metadata
        whole = self._intact.get(item.label)
        state, tone = ("✗", "bad") if item.problem or whole is False else ("✓", "good") if whole else (" ", "")
        moved = None
        if about.general_loss is not None and about.general_loss_before is not None:
            moved = about.general_loss - about.general_loss_before
        base = (Cell(one_line(about.base).rpartition("/")[2], "muted"),) if self._has_base else ()
        return (
            Cell(("●" if item.label in self._marked else " ") + state, tone or "accent"),
            Cell(self._called(item), "bad" if item.problem else ""),
            Cell(" ".join(item.aliases), "good" if "production" in item.aliases else "accent"),
            *base,
            Cell("unreadable" if item.problem else one_line(made(item)), "bad" if item.problem else "muted"),
            Cell(_loss(about.loss), "muted"),
            Cell(_loss(about.eval_loss)),
            Cell("" if moved is None else f"{moved:+.2f}", "bad" if moved is not None and moved > 0.1 else "muted"),
            Cell(size(item.size), "muted"),
            Cell(age(int(about.created * 1000), self.now) if about.created else "", "muted"),
        )

    def heading(self, width: int) -> str:
        """What the columns are, for a list this wide."""
        columns = self.columns(width)
        names = ("", "adapter", "alias", *(("base",) if self._has_base else ()), "made from")
        names += ("loss", "eval", "general", "size", "age")
        rest = width - sum(column.width + 1 for column in columns if column.width) - 1
        return "".join(
            " " + fit(name, column.width or max(1, rest), right=column.right)
            for name, column in zip(names, columns, strict=True)
        )

    def _called(self, item: Item) -> str:
        """The label; of a long one the end of the name gives way, not the version."""
        label, room = one_line(item.label), self._name()
        name, at, version = label.rpartition("@")
        return label if cell_len(label) <= room else fit(name, max(4, room - cell_len(at + version))) + at + version

    def _name(self) -> int:
        longest = max((cell_len(item.label) for item in self.items), default=0)
        return max(_NAME, min(longest, _MOST if self._roomy else _NAME + 4))


def made(item: Item) -> str:
    """What it was made from, in few words."""
    about = item.adapter.metadata
    if about.strategy:
        return f"{about.strategy} of {len(about.sources or about.parents)}"
    return about.dataset or about.note or ("imported" if not about.run else "")


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value < 10 else f"{value:.1f}"
