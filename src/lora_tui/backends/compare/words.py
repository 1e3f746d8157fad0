"""A comparison in words: cells for a table, and the lines of one way in full."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from lora_tui.backends.compare.figure import LIVE, Figure
from lora_tui.backends.compare.offers import cheapest_of
from lora_tui.backends.compare.way import Comparison, Way
from lora_tui.backends.compare.work import amount
from lora_tui.backends.plan_words import Said, Tone, hours

UNKNOWN = "unknown"
NOTHING = "–"
_NAME = 12  # cells
_GAP = 2  # cells between columns
_LEAST = 8  # cells that a name keeps
_CENT = 0.01
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
COLUMNS = ("WAY", "FITS", "GPU", "TIME", "TRAINING", "SERVING", "A MONTH")


def rows(ways: Sequence[Way], width: int) -> list[tuple[str, ...]]:
    """The ways as lines under COLUMNS; long names of hosts and GPUs are cut so that a table of them fits `width`."""
    found = [_cells(way) for way in ways]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *found, strict=True)]
    over = sum(widths) + _GAP * (len(widths) - 1) - width
    for column in (0, 2):
        widths[column] -= min(max(over, 0), max(widths[column] - _LEAST, 0))
        over = sum(widths) + _GAP * (len(widths) - 1) - width
    return [tuple(_cut(cell, room) for cell, room in zip(line, widths, strict=True)) for line in found]


def _cells(way: Way) -> tuple[str, ...]:
    return (
        way.name,
        fits(way),
        way.gpu.removeprefix("NVIDIA ").removeprefix("GeForce "),
        training_time(way),
        training_cost(way),
        f"{money(way.serving)}/h" if way.serving.known else UNKNOWN,
        money(way.monthly, whole_from=10),
    )


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def training_time(way: Way) -> str:
    """How long it takes; nothing where it does not fit."""
    return NOTHING if way.fits is False else time(way.seconds)


def training_cost(way: Way) -> str:
    """What it costs; nothing where it does not fit."""
    return NOTHING if way.fits is False else money(way.cost)


def fits(way: Way) -> str:
    """Yes, no, or that it is not known."""
    return "?" if way.fits is None else "yes" if way.fits else "no"


def tone(way: Way) -> Tone:
    """How good that is."""
    return "muted" if way.fits is None else "good" if way.fits else "bad"


def time(figure: Figure) -> str:
    """A duration: "2.1–4.8 h", "12–40 min"."""
    if figure.low is None or figure.high is None:
        return UNKNOWN
    if figure.low == figure.high:
        return hours(figure.low)
    unit, size = next((item for item in _UNITS if figure.high >= 2 * item[1]), _UNITS[-1])
    low, high = (part / size for part in (figure.low, figure.high))
    shown = (f"{part:.1f}" if high < 10 else f"{part:.0f}" for part in (low, high))
    return f"{'–'.join(dict.fromkeys(shown))} {unit}"


def money(figure: Figure, *, whole_from: float = 100) -> str:
    """An amount: "$0.78–2.61", "EUR 0.40", "<$0.01"; without cents from `whole_from` on."""
    if figure.low is None or figure.high is None:
        return UNKNOWN
    currency = figure.unit.partition("/")[0]
    sign = "$" if currency == "USD" else f"{currency} "
    if 0 < figure.high < _CENT:
        return f"<{sign}{_CENT}"
    places = 2 if figure.high < whole_from else 0
    shown = (f"{part:,.{places}f}" for part in (figure.low, figure.high))
    return sign + "–".join(dict.fromkeys(shown))


def where_from(figure: Figure) -> str:
    """Source and day, in brackets; for an unknown figure what would make it known."""
    if not figure.known:
        return figure.why
    return ", ".join(part for part in (figure.source, figure.as_of) if part)


def head(found: Comparison) -> str:
    """What is compared."""
    said = f"{found.rows:,} rows, {amount(*found.tokens)} tokens over all passes, {found.tokens_source}"
    return f"{found.profile} on {found.dataset}: {said}"


def foot(found: Comparison) -> str:
    """What holds for all of it."""
    live = [way.name for way in found.ways if LIVE in way.cost.source]
    prices = f"Live prices: {', '.join(live)}; else" if live else "No live prices:"
    return f"A month: served {found.hours_per_day:g} h a day. {prices} the table of prices.toml."


def details(way: Way, *, explain: bool) -> Iterator[Said]:
    """Everything about one way; with `explain` the arithmetic of each figure."""
    yield Said(way.name, f"{fits(way)}: {way.why}" if way.why else fits(way), tone(way))
    yield Said("gpu", way.gpu)
    figures = (
        ("time", training_time(way), way.seconds),
        ("training", training_cost(way), way.cost),
        ("serving", f"{money(way.serving)}{_an_hour(way)}", way.serving),
        ("a month", money(way.monthly), way.monthly),
    )
    for name, shown, figure in figures:
        if shown == NOTHING:
            yield Said(name, f"{NOTHING} (it does not fit)", "muted")
            continue
        source = where_from(figure)
        yield Said(name, f"{shown} ({source})" if source else shown, "" if figure.known else "muted")
        if explain:
            said = {"training": way.seconds.steps, "a month": way.serving.steps}.get(name, ())
            for step in figure.steps:
                if step not in said:
                    yield Said("", step, "muted")
    if way.paid is not None:
        yield Said("last time", f"{money(way.paid)} ({where_from(way.paid)})")
    for number, kind in enumerate(way.kinds):
        count = f"{kind.gpus}× " if kind.gpus > 1 else ""
        verdict = "?" if kind.fits is None else "fits" if kind.fits else "does not fit"
        offers = f" ({cheapest_of(kind.offers)})" if kind.offers else ""
        text = f"{count}{kind.gpu}: {verdict}"
        if kind.fits is not False:
            text += f", {time(kind.seconds)}, {money(kind.cost)}"
        yield Said("" if number else "gpus", f"{text} at {money(kind.price)} an hour{offers}", "muted")
    for number, item in enumerate(way.setup or ("nothing: it is ready",)):
        yield Said("" if number else "set-up", item)
    yield Said("latency", f"{way.latency} ({way.latency_source})")
    yield Said("data", way.data)
    for note in way.notes:
        yield Said("note", note, "warn")


def in_full(found: Comparison, *, explain: bool, width: int = 80) -> str:
    """The details of every way, a paragraph each."""
    lines = []
    for way in found.ways:
        lines.append("")
        for item in details(way, explain=explain):
            lines += textwrap.wrap(
                item.text,
                width,
                initial_indent=f"{item.name:{_NAME}}",
                subsequent_indent=" " * _NAME,
                break_on_hyphens=False,
                break_long_words=False,
            )
    return "\n".join(lines[1:])


def _an_hour(way: Way) -> str:
    if not way.serving.known:
        return ""
    return f" an hour on {way.serving_on}" if way.serving_on else " an hour"
