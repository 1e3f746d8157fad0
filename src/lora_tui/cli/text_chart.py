"""A small chart of several curves in plain characters: each curve is drawn with its own sign."""

from __future__ import annotations

from collections.abc import Sequence

SIGNS = "123456789abcdefghijklmnopqrstuvwxyz"
SEVERAL = "*"  # where curves meet
Curve = Sequence[tuple[int, float]]


def chart(curves: Sequence[Curve], *, width: int = 64, height: int = 12) -> list[str]:
    """Lines of a chart, highest value on top; the n-th curve is drawn with the n-th of SIGNS. Nothing for no points."""
    points = [point for curve in curves for point in curve]
    if not points:
        return []
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    cells = [[" "] * width for _ in range(height)]
    for number, curve in enumerate(curves):
        sign = SIGNS[number % len(SIGNS)]
        for x, y in curve:
            column = round((x - first) / ((last - first) or 1) * (width - 1))
            row = round((high - y) / ((high - low) or 1) * (height - 1))
            cells[row][column] = sign if cells[row][column] in (" ", sign) else SEVERAL
    names = {0: f"{high:.3f}", height - 1: f"{low:.3f}"} if high > low else {0: f"{high:.3f}"}
    margin = max(len(name) for name in names.values())
    lines = [f"{names.get(row, ''):>{margin}} |{''.join(line).rstrip()}" for row, line in enumerate(cells)]
    foot = f"{first}{last:>{max(1, width - len(str(first)))}}" if last > first else str(first)
    return [*lines, f"{'':>{margin}} +{'-' * width}", f"{'':>{margin}}  {foot}"]
