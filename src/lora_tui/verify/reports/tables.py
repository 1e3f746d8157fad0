"""The tables of a report in Markdown: who answered and how, the gates, the languages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from lora_tui.verify.reports.report import BASELINE, TUNED, Report, Side
from lora_tui.verify.reports.side_rates import rate_of
from lora_tui.verify.reports.words import percent, percents, rate_words
from lora_tui.verify.statistics import Comparison
from lora_tui.verify.statistics.sign_flip import p_words


def sides(report: Report) -> str:
    """A column for each side. What is not known of any is left out."""
    rows: list[tuple[str, Callable[[Side], str]]] = [
        ("endpoint", lambda side: f"`{side.endpoint}`"),
        ("model", lambda side: side.model),
        ("engine", lambda side: f"{side.engine} {side.version}".strip()),
        ("identity", _identity),
        ("passed", lambda side: _rate(report, side)),
        ("time of an answer", lambda side: _seconds(side.seconds)),
        ("to the first token", lambda side: _seconds(_first_token(report, side))),
        ("tokens/s", lambda side: "" if side.tokens_per_second is None else f"{side.tokens_per_second:.1f}"),
        ("requests at once", lambda side: str(side.at_once or "")),
        ("warm-up", lambda side: f"{side.warm_up_seconds:.2f} s" if side.warm_up_seconds else ""),
        ("ended by itself", lambda side: "" if side.stop_rate is None else percent(side.stop_rate)),
        ("memory at most", _memory),
        ("kept from earlier runs", lambda side: f"{side.cached} of {side.answers} answers"),
        ("to know", lambda side: "; ".join(side.notes)),
    ]
    filled = [(name, [of(side) for side in report.sides]) for name, of in rows]
    labels = [side.label for side in report.sides]
    return table(["", *labels], [[name, *cells] for name, cells in filled if any(cells)])


def gates(report: Report) -> str:
    """A line for each gate."""
    words = {True: "✓ passed", False: "✗ **failed**", None: "? **undecided**"}
    rows = [[f"`{gate.text}`", words[gate.passed], gate.measured, gate.detail] for gate in report.gates]
    return table(["gate", "", "measured", "why"], rows) if rows else ""


def languages(report: Report) -> str:
    """A line for each language; p is adjusted by Holm for all of them being looked at."""
    rows = [
        [
            name,
            str(found.prompts),
            rate_words(found.baseline),
            rate_words(found.tuned),
            _difference(found),
            p_words(found.p),
            found.outcome,
        ]
        for name, found in report.languages.items()
    ]
    return table(["", "prompts", "baseline", "fine-tune", "difference", "p (Holm)", ""], rows) if rows else ""


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; what would break a cell is taken out of it."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _identity(side: Side) -> str:
    if not side.engine:
        return "not known"
    return "proven" if side.proven else "not proven: it does not show which model answers"


def _rate(report: Report, side: Side) -> str:
    compared = {BASELINE: report.result.baseline, TUNED: report.result.tuned}
    found = compared[side.label] if side.label in compared else rate_of(report, side.label)
    return f"{rate_words(found)}, 95 %: {percents(found.interval)}" if found else ""


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


def _first_token(report: Report, side: Side) -> float | None:
    times = [
        answer.first_token_seconds
        for outcome in report.outcomes
        for answer in outcome.answers.get(side.label, ())
        if not answer.error and not answer.cached
    ]
    return fmean(times) if times else None


def _memory(side: Side) -> str:
    parts = [f"{side.rss_bytes / 1e9:.2f} GB RAM" if side.rss_bytes else ""]
    parts.append(f"{side.vram_bytes / 1e9:.2f} GB GPU" if side.vram_bytes else "")
    return " + ".join(filter(None, parts))


def _difference(found: Comparison) -> str:
    points = f"{100 * found.difference:+.1f} points"
    if found.interval is None:
        return points
    return f"{points} ({100 * found.interval.low:+.1f} to {100 * found.interval.high:+.1f})"
