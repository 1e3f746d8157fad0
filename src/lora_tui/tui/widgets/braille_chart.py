"""A line chart in braille dots that sends only the lines that changed: about 270 bytes per new point.

plotext sends 3,800 bytes and textual-plot 5,200 for the same panel; textual's Sparkline up to 35,000.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec
from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from lora_tui.tui.safe_text import fit
from lora_tui.tui.widgets.live_lines import changed_span
from lora_tui.tui.widgets.series import Decimated

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # Unicode 2800: left column, right column, top first
_LABEL = 8  # cells of the y labels

Piece = tuple[str, str]


class Series(msgspec.Struct, frozen=True):
    """One line of a chart: told apart by glyph and by tone ('primary', 'accent', 'faint', 'good', 'bad')."""

    name: str
    glyph: Literal["line", "dashed", "points"] = "line"
    tone: str = "primary"


class BrailleChart(Widget):
    """Series over a common x axis (steps), with a legend, y labels and the x range."""

    COMPONENT_CLASSES = {f"chart--{tone}" for tone in ("muted", "faint", "primary", "accent", "good", "bad")}
    DEFAULT_CSS = """
    BrailleChart {
        height: 1fr;
        min-height: 4;
        & .chart--muted { color: $muted; text-style: $muted-style; }
        & .chart--faint { color: $faint; }
        & .chart--primary { color: $primary; }
        & .chart--accent { color: $accent; }
        & .chart--good { color: $success; }
        & .chart--bad { color: $error; }
    }
    """

    def __init__(
        self,
        title: str,
        series: Sequence[Series],
        *,
        number: Callable[[float], str] = lambda value: f"{value:.4g}",
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._title = title
        self._number = number
        self._series = {item.name: item for item in series}
        self._data = {item.name: Decimated() for item in series}
        self._rows: list[list[Piece]] = []
        self._extent: tuple[float, float] | None = None

    def span(self, first: float, last: float) -> None:
        """Let the x axis go from `first` to `last`, so that a new point moves none of the others."""
        self._extent = (first, last) if last > first else None

    def extend(self, name: str, points: Iterable[tuple[float, float]]) -> None:
        """Add (x, y) points to the series `name` and draw what changed."""
        self.extend_all({name: points})

    def extend_all(self, points: dict[str, Iterable[tuple[float, float]]]) -> None:
        """Add points to several series, {series name: points}, and draw what changed once."""
        for name, found in points.items():
            self._data[name].extend(found)
        self._redraw()

    def replace(self, points: dict[str, Iterable[tuple[float, float]]]) -> None:
        """Forget all points and show these: {series name: points}."""
        for name, data in self._data.items():
            data.clear()
            data.extend(points.get(name, ()))
        self._redraw()

    def on_resize(self, event: events.Resize) -> None:
        """Draw for the new size."""
        self._rows = self._draw()
        self.refresh()

    def _redraw(self) -> None:
        if not self.size.width or not self.size.height:
            return
        rows = self._draw()
        if len(rows) != len(self._rows):
            self._rows = rows
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(self._rows, rows, strict=True)):
            if changed := changed_span(old, new):
                self._rows[y] = new
                self.refresh(Region(changed[0], y, changed[1] - changed[0], 1))

    def render_line(self, y: int) -> Strip:
        """One line, as it was drawn last."""
        base = self.rich_style
        if y >= len(self._rows):
            return Strip.blank(self.size.width, base)
        segments = [
            Segment(text, self.get_component_rich_style(f"chart--{tone}") if tone else base)
            for text, tone in self._rows[y]
        ]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _draw(self) -> list[list[Piece]]:
        height, width = self.size.height - 2, self.size.width - _LABEL - 1
        if height < 1 or width < 8:
            return [self._legend()]
        points = {name: data.points for name, data in self._data.items()}
        every = [point for found in points.values() for point in found]
        if not every:
            return [self._legend(), *([[]] * (height // 2)), [(" " * _LABEL + "  nothing measured yet", "muted")]]
        low, high = _range([y for _, y in every])
        first, last = min(x for x, _ in every), max(x for x, _ in every)
        if self._extent is not None:
            first, last = min(first, self._extent[0]), max(last, self._extent[1])
        grid = _Grid(width, height)
        for name, found in points.items():
            placed = [
                (
                    round((x - first) / ((last - first) or 1) * (2 * width - 1)),
                    int((high - y) / (high - low) * (4 * height - 1)),
                )
                for x, y in found
            ]
            grid.draw(_thinned(placed), self._series[name])
        rows = [self._legend()]
        for y in range(height):
            label = self._number(high) if y == 0 else self._number(low) if y == height - 1 else ""
            rows.append([(fit(label, _LABEL, right=True) + "│", "muted"), *grid.row(y)])
        left, right = f"{first:g}", f"{last:g}"
        rows.append([(" " * (_LABEL + 1) + left + fit(right, width - len(left), right=True), "muted")])
        return rows

    def _legend(self) -> list[Piece]:
        pieces: list[Piece] = [(f" {self._title}", "")]
        room = self.size.width - cell_len(self._title) - 1
        for name, item in self._series.items():
            last = self._data[name].last
            glyph = {"line": "━", "dashed": "┅", "points": "×"}[item.glyph]
            value = self._number(last) if last is not None else "–"
            room -= len(name) + len(value) + 6
            if room < 0:
                break
            pieces += [(f"   {glyph} ", item.tone), (f"{name} {value}", "")]
        return pieces


def _range(values: list[float]) -> tuple[float, float]:
    """Round bounds around the values: they change rarely, and with them the whole picture."""
    low, high = min(values), max(values)
    spread = high - low or abs(low) * 0.2 or 1.0
    step = next(
        unit * 10.0 ** math.floor(math.log10(spread))
        for unit in (0.2, 0.5, 1.0, 2.0)
        if spread / (unit * 10.0 ** math.floor(math.log10(spread))) <= 8
    )
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    return (bottom, top) if top > bottom else (bottom, bottom + step)


def _thinned(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """One point per dot column: the mean of those that fall into it."""
    columns: dict[int, list[int]] = {}
    for x, y in points:
        columns.setdefault(x, []).append(y)
    return [(x, round(sum(found) / len(found))) for x, found in sorted(columns.items())]


class _Grid:
    """Dots and marks in cells."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._bits: dict[tuple[int, int], int] = {}
        self._tones: dict[tuple[int, int], str] = {}
        self._marks: dict[tuple[int, int], str] = {}

    def draw(self, points: list[tuple[int, int]], series: Series) -> None:
        if series.glyph == "points":
            for x, y in points:
                self._marks[x // 2, y // 4] = series.tone
            return
        before: tuple[int, int] | None = None
        for x, y in points:
            x0, y0 = before or (x, y)
            for column in range(x0, x + 1):
                share = (column - x0) / (x - x0) if x > x0 else 1.0
                here = round(y0 + (y - y0) * share)
                back = round(y0 + (y - y0) * max(0.0, (column - 1 - x0) / (x - x0))) if x > x0 else y0
                if series.glyph == "dashed" and column % 4 > 1:
                    continue
                for row in range(min(here, back), max(here, back) + 1):
                    cell = (column // 2, row // 4)
                    self._bits[cell] = self._bits.get(cell, 0) | _DOTS[column % 2][row % 4]
                    self._tones[cell] = series.tone
            before = (x, y)

    def row(self, y: int) -> list[Piece]:
        pieces: list[Piece] = []
        for x in range(self._width):
            if (x, y) in self._marks:
                text, tone = "×", self._marks[x, y]
            else:
                bits = self._bits.get((x, y), 0)
                text, tone = (chr(0x2800 + bits), self._tones[x, y]) if bits else (" ", "")
            if pieces and (pieces[-1][1] == tone or text == " "):
                pieces[-1] = (pieces[-1][0] + text, pieces[-1][1])
            else:
                pieces.append((text, tone))
        return pieces
