"""Seconds as people say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lora_tui.jobs.pace import ToGo


def duration(seconds: float | None) -> str:
    """42 s, 3 min 10 s, 2 h 5 min; '-' for None."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def to_go(found: ToGo | None) -> str:
    """A time to go as one figure, or as a range where the pace varies: "3 to 5 min to go"; '' when not known."""
    if found is None:
        return ""
    if not found.noisy:
        return f"{duration(found.seconds)} to go"
    for unit, size in (("h", 3600), ("min", 60), ("s", 1)):
        low, high = round(found.low / size), round(found.high / size)
        if high >= (2 if size > 1 else 0):
            return f"{low}–{high} {unit} to go" if low != high else f"{duration(found.seconds)} to go"
    return ""
