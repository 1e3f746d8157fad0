"""A number that says where it is from: one value, a range, or unknown."""

from __future__ import annotations

import msgspec

LIVE = "live API"
TABLE = "price table"
FORMULA = "formula"
CONFIG = "config.toml"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """From `low` to `high` (equal: one value; None: unknown), in `unit`: "USD", "USD/h", "USD/month", "s".

    source: "live API", "your past run ID", "price table", "config.toml", "formula", several of them joined by "+".
    as_of: the day the source speaks of, as YYYY-MM-DD. steps: the arithmetic, a line each.
    why: what would make an unknown one known.
    """

    low: float | None = None
    high: float | None = None
    unit: str = ""
    source: str = ""
    as_of: str = ""
    steps: tuple[str, ...] = ()
    why: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return self.low is not None and self.high is not None

    @property
    def middle(self) -> float:
        """Half way, to put figures in an order; endless where it is unknown."""
        return (self.low + self.high) / 2 if self.low is not None and self.high is not None else float("inf")


def unknown(unit: str, why: str = "") -> Figure:
    """No number, and what would make it one."""
    return Figure(unit=unit, source="unknown", why=why)


def sources(*named: str) -> str:
    """Several sources as one, each once."""
    parts = [part for name in named for part in name.split(" + ") if part and part != "unknown"]
    return " + ".join(dict.fromkeys(parts))


def times(figure: Figure, number: float, unit: str, step: str) -> Figure:
    """A figure so many times, in another unit; `step` says why in the arithmetic. What is unknown stays so."""
    if figure.low is None or figure.high is None:
        return unknown(unit, figure.why)
    low, high = figure.low * number, figure.high * number
    said = f"{step} = {span(low, high)} {unit}"
    return Figure(low=low, high=high, unit=unit, source=figure.source, as_of=figure.as_of, steps=(*figure.steps, said))


def span(low: float, high: float, places: int = 2) -> str:
    """Both ends in words: "3.56", "2.67 to 4.45"."""
    first, last = f"{low:,.{places}f}", f"{high:,.{places}f}"
    return first if first == last else f"{first} to {last}"
