"""Points placed on braille dots, 2 × 4 to a cell, with marks over them; and the round bounds of an axis."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # Unicode 2800: left column, right column, top first
_LETTERS_APART = 28  # cells between the letters on a line

Piece = tuple[str, str]
Dots = list[tuple[int, int]]


class Series(msgspec.Struct, frozen=True):
    """One line of a chart, told apart by glyph, by letter and by tone (primary, accent, faint, good, bad, warn).

    `letter` stands on the line here and there, so that lines differ without colour.
    """

    name: str
    glyph: Literal["line", "dashed", "points"] = "line"
    tone: str = "primary"
    letter: str = ""


class Grid:
    """Dots and marks in cells."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._bits: dict[tuple[int, int], int] = {}
        self._tones: dict[tuple[int, int], str] = {}
        self._marks: dict[tuple[int, int], tuple[str, str]] = {}
        self._letters = 0
        self._rule: int | None = None

    def rule(self, dot: int) -> None:
        """A vertical line in the column of this dot, behind everything."""
        self._rule = dot // 2

    def draw(self, points: Dots, series: Series) -> None:
        """One series, its points in dots from the top left; `points` rise in x."""
        if series.glyph == "points":
            for x, y in points:
                self._marks[x // 2, y // 4] = (series.letter or "×", series.tone)
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
        if series.letter and points:
            self._place_letters(points, series)

    def _place_letters(self, points: Dots, series: Series) -> None:
        """At the line's end and now and then before; each series at other columns, so that none hides another."""
        self._letters += 1
        due = points[0][0] // 2 + 3 * self._letters
        for x, y in points:
            if x // 2 >= due:
                self._marks[x // 2, y // 4] = (series.letter, series.tone)
                due = x // 2 + _LETTERS_APART
        x, y = points[-1]
        while x > 1 and (x // 2, y // 4) in self._marks:
            x -= 2
        self._marks[x // 2, y // 4] = (series.letter, series.tone)

    def row(self, y: int) -> list[Piece]:
        """One line of cells as (text, tone) pieces."""
        pieces: list[Piece] = []
        for x in range(self._width):
            if (x, y) in self._marks:
                text, tone = self._marks[x, y]
            elif bits := self._bits.get((x, y), 0):
                text, tone = chr(0x2800 + bits), self._tones[x, y]
            else:
                text, tone = ("│", "muted") if x == self._rule else (" ", "")
            if pieces and (pieces[-1][1] == tone or text == " "):
                pieces[-1] = (pieces[-1][0] + text, pieces[-1][1])
            else:
                pieces.append((text, tone))
        return pieces


def thinned(points: Dots) -> Dots:
    """One point per dot column: the mean of those that fall into it."""
    columns: dict[int, list[int]] = {}
    for x, y in points:
        columns.setdefault(x, []).append(y)
    return [(x, round(sum(found) / len(found))) for x, found in sorted(columns.items())]


def bounds(values: list[float]) -> tuple[float, float]:
    """Round bounds around the values: they change rarely, and with them the whole picture."""
    low, high = min(values), max(values)
    spread = high - low or abs(low) * 0.2 or 1.0
    size = 10.0 ** math.floor(math.log10(spread))
    step = next(unit * size for unit in (0.2, 0.5, 1.0, 2.0) if spread / (unit * size) <= 8)
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    return (bottom, top) if top > bottom else (bottom, bottom + step)


def log_bounds(values: list[float]) -> tuple[float, float]:
    """Bounds for the logarithms (base 10) of values above 0: at 1, 2 or 5 times a power of ten around them."""
    ticks = [math.log10(unit) for unit in (1.0, 2.0, 5.0, 10.0)]
    low, high = math.log10(min(values)), math.log10(max(values))
    bottom = math.floor(low) + max(tick for tick in ticks if tick <= low - math.floor(low) + 1e-12)
    top = math.floor(high) + min(tick for tick in ticks if tick >= high - math.floor(high) - 1e-12)
    return (bottom, top) if top > bottom else (bottom, bottom + 0.1)
