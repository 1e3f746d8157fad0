"""The rows of the example list: an id vector from one query, pages of rows read when they come into sight."""

from __future__ import annotations

from array import array
from collections.abc import Container, Iterable, Iterator, Sequence

from textual.cache import LRUCache

from lora_tui.curation import examples
from lora_tui.curation.examples import ExampleRow
from lora_tui.tui.safe_text import age, one_line
from lora_tui.tui.widgets.virtual_list import Cell, Column
from lora_tui.workspace.layout import Workspace

_PAGE = 128
_PAGES = 32
_LANGUAGE = 10
_MANY = 100  # more changed examples than this: everything is read again

MARKS = {"accept": ("✓", "good"), "reject": ("✗", "bad"), "skip": ("·", "muted")}


class ExampleRows:
    """A RowSource over a frozen list of ids: a labelled example stays where it is until the filter is applied again."""

    def __init__(self, workspace: Workspace, ids: array[int], now: float, masked: Container[int] = ()) -> None:
        """`masked`: places where an earlier decision must not be seen."""
        self._workspace = workspace
        self._masked = masked
        self.ids = ids
        self._now = now
        self._pages: LRUCache[int, list[ExampleRow | None]] = LRUCache(_PAGES)
        self._wide = False

    def __len__(self) -> int:
        return len(self.ids)

    def columns(self, width: int) -> Sequence[Column]:
        """Mark, language, request; wider: source; confidence, turns, age."""
        self._wide = width >= 100
        source = [Column(9)] if self._wide else []
        return [Column(3), Column(_LANGUAGE), Column(0), *source, Column(4), Column(3, True), Column(3, True)]

    def cells(self, index: int) -> Sequence[Cell]:
        """One example as cells."""
        row = self.row(index)
        source = [Cell(row.source if row else "", "muted")] if self._wide else []
        if row is None:
            return [Cell(""), Cell(""), Cell("gone", "muted"), *source, Cell(""), Cell(""), Cell("")]
        masked = index in self._masked
        decision = None if masked else row.decision
        mark, tone = MARKS.get(decision or "", (" ", ""))
        marks = mark + ("!" if row.flagged else " ") + ("e" if row.edited else " ")
        certain = f"{row.confidence:.2f}" if row.confidence else "  – "
        request = one_line(row.request or row.title)
        own = row.language != row.machine_language and not masked
        return [
            Cell(marks, "warn" if row.flagged and not decision else tone),
            Cell(row.machine_language if masked else row.language, "accent"),
            Cell(f"{row.dropped}: {request}", "muted") if row.dropped else Cell(request, "muted" if decision else ""),
            *source,
            Cell(" own" if own else certain, "muted"),
            Cell(str(row.turns), "muted"),
            Cell(age(row.created, self._now), "muted"),
        ]

    def row(self, index: int) -> ExampleRow | None:
        """One row; None when the example is gone."""
        page = index // _PAGE
        found = self._pages.get(page)
        if found is None:
            found = self._pages[page] = self._read(page)
        return found[index % _PAGE]

    def _read(self, page: int) -> list[ExampleRow | None]:
        wanted = self.ids[page * _PAGE : (page + 1) * _PAGE]
        by_id = {row.id: row for row in examples.rows(self._workspace, wanted)}
        return [by_id.get(identity) for identity in wanted]

    def reload(self, ids: Iterable[int]) -> list[int]:
        """Forget what is known of these examples; returns their places in the list. Few ids: one look each."""
        wanted = set(ids)
        if len(wanted) > _MANY:
            self._pages.clear()
            return []
        places = [place for identity in wanted for place in self._places(identity)]
        for place in places:
            self._pages.discard(place // _PAGE)
        return places

    def _places(self, identity: int) -> Iterator[int]:
        """Where an example stands; a queue may ask about it twice."""
        start = 0
        while True:
            try:
                start = self.ids.index(identity, start)
            except ValueError:
                return
            yield start
            start += 1

    def index_of(self, identity: int) -> int | None:
        """Where an example stands; None when the filter left it out."""
        try:
            return self.ids.index(identity)
        except ValueError:
            return None
