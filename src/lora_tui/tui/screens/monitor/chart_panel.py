"""The charts of the chosen run, or of several laid over each other: a large one and, given room, small ones."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from lora_tui.tui.screens.monitor.chart_kinds import KINDS, LOSS, beside, of_many, of_one
from lora_tui.tui.screens.monitor.curves import Curves
from lora_tui.tui.widgets.braille_chart import BrailleChart

_SMALL = ("first", "second", "third")


class ChartPanel(Vertical):
    """Told which curves to draw; owns which chart is large. What its charts are asked for comes from the screen."""

    DEFAULT_CSS = """
    ChartPanel {
        height: 1fr;
        & #beside { display: none; height: 9; }
        & #beside BrailleChart { width: 1fr; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.kind = LOSS
        self._drawn: tuple[object, ...] = ()
        self._curves: Sequence[Curves] = ()
        self._overlaid = False

    def compose(self) -> ComposeResult:
        """The large one over a row of small ones."""
        yield BrailleChart("loss", (), id="large")
        with Horizontal(id="beside"):
            for name in _SMALL:
                yield BrailleChart("", (), id=name)

    @property
    def large(self) -> BrailleChart:
        """The chart that zoom, pan and cursor work on."""
        return self.query_one("#large", BrailleChart)

    def show(self, curves: Sequence[Curves], *, overlaid: bool) -> None:
        """Draw one run's curves, or one line of each of several, or only what is new of them."""
        self._curves, self._overlaid = curves, overlaid
        if not curves:
            return
        total = max(item.total for item in curves)
        small = beside(self.kind, curves[0], len(_SMALL))
        wanted = (self.kind, overlaid, tuple(small), *map(id, curves))
        same, self._drawn = wanted == self._drawn, wanted
        for name, kind in (("large", self.kind), *zip(_SMALL, small, strict=False)):
            chart = self.query_one(f"#{name}", BrailleChart)
            chart.span(0, total)
            if same:
                chart.redraw()
            else:
                series, data = of_many(kind, curves) if overlaid else of_one(kind, curves[0])
                chart.plot(kind.title, series, data, kind.number)

    def next_kind(self, by: int) -> None:
        """Make the next chart the large one."""
        self.kind = KINDS[(KINDS.index(self.kind) + by) % len(KINDS)]
        self.show(self._curves, overlaid=self._overlaid)
