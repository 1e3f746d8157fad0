"""The served sets in lines: engine, health, memory, requests, and what each version answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lora_tui.adapters.byte_text import size
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.widgets.live_lines import Line
from lora_tui.tui.wording import many

if TYPE_CHECKING:
    from lora_tui.adapters.serving.status import Figures, Status

_MARKS = {"ready": ("▶", "good"), "starting": ("…", "accent"), "failed": ("✗", "bad"), "down": ("✗", "bad")}
_VERSIONS = 6  # shown


def serving_lines(found: Sequence[Status], whole: bool, width: int) -> list[Line]:
    """A line for each set, with `whole` also its versions. Numbers that tick stand left."""
    lines: list[Line] = []
    for one in found:
        lines += _set(one, width)
        if whole and one.versions:
            lines += _versions(one.versions, width)
    return lines


def _set(one: Status, width: int) -> Iterator[Line]:
    mark, tone = _MARKS.get(one.state, ("■", "warn"))
    live = one.state == "ready"
    pace = [f"{one.tokens_per_second:>5.0f} tok/s", f"{one.running} now", many(one.requests, "request")]
    memory = [size(one.rss)] if one.rss else []
    memory += [f"{size(one.vram)} GPU"] if one.vram else []
    told = [*(pace if live and one.route else []), *memory]
    rest = "" if one.why else f"  {one.url.partition('//')[2].removesuffix('/v1')}"
    yield [
        (f"{mark} ", tone),
        (f"{one_line(one.name)} {one.state}", "strong" if live else tone),
        (f"  {'  '.join(told)}" if told else "", ""),
        (f"  {one.engine}{rest}", "muted"),
    ]
    if one.why:
        yield [("  " + fit(one_line(one.why), width - 2), "bad")]


def _versions(rows: Sequence[Figures], width: int) -> Iterator[Line]:
    room = max(14, min(30, width - 52))
    head = f"{'requests':>9}{'now':>5}{'errors':>7}{'first':>8}{'whole':>8}"
    yield [("  " + " " * room + head + "  means it", "muted")]
    for row in rows[:_VERSIONS]:
        numbers = f"{row.requests:>9,}{row.running:>5}"
        times = f"{_seconds(row.first_mean):>8}{_seconds(row.whole_mean):>8}"
        failed = row.errors + row.cut
        means = ", ".join(row.names) + (f"trial, {row.trial:g} %" if row.trial else "")
        yield [
            ("  " + fit(one_line(row.version), room), "" if row.loaded else "muted"),
            (numbers, ""),
            (f"{failed:>7,}", "bad" if failed else "muted"),
            (times, ""),
            (f"  {one_line(means)}", "muted"),
        ]


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
