"""An audit to read: what is trained on per split, how long rows are, and everything that was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lora_tui.jobs.audit import Audited, Bin, Finding
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.widgets.conversation_lines import Line
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import LEFT_OUT, base_name, duration, many

_NAME = 12
_COLUMN = 12
_ROWS = 8  # named under a finding
_TONES = {"error": "bad", "warning": "found", "note": "muted"}


def summary(audited: Audited) -> str:
    """One line: tokens, share trained on, findings."""
    counts = {
        severity: sum(item.severity == severity for item in audited.findings)
        for severity in ("error", "warning", "note")
    }
    told = [many(number, severity) for severity, number in counts.items() if number]
    train = audited.train
    share = train.loss_tokens / train.tokens if train.tokens else 0.0
    return f"{train.tokens:,} tokens, {share:.0%} trained on; {', '.join(told) or 'no findings'}"


def audit_lines(audited: Audited, width: int, folded: bool) -> Iterator[Line]:
    """The whole audit; `folded` names few rows of each finding."""
    yield [("audit", "heading"), (f"  {one_line(base_name(audited.base))}, max_length {audited.max_length:,}", "muted")]
    yield []
    yield from _findings(audited.findings, width, folded)
    yield []
    yield from _table(audited)
    for title, bins in (
        ("tokens per training row", audited.train.lengths),
        ("tokens trained on per row", audited.train.losses),
        ("tokens before the first trained one", audited.train.prompts),
    ):
        yield from _histogram(title, bins, width)
    yield []
    yield from _facts(audited, width)
    yield from _cut(audited, width, folded)


def _findings(findings: Sequence[Finding], width: int, folded: bool) -> Iterator[Line]:
    if not findings:
        yield [("✓ nothing was found", "good")]
    for item in findings:
        head = f"{item.severity} {item.code}"
        yield [(head, _TONES[item.severity]), (f"  {many(item.count, 'row')}" if item.count else "", "muted")]
        for text, tone in ((item.message, ""), (item.fix, "muted")):
            yield from ([("  " + piece, tone)] for piece in wrap(one_line(text), width - 2) if piece)
        named = item.rows[:_ROWS] if folded else item.rows
        if named:
            more = f" and {item.count - len(named):,} more" if item.count > len(named) else ""
            for piece in wrap(", ".join(one_line(row)[:12] for row in named) + more, width - 2):
                yield [("  " + piece, "muted")]


def _table(audited: Audited) -> Iterator[Line]:
    heads = ("rows", "trained on", "tokens", "with loss", "longest")
    yield [(fit("", _NAME) + "".join(fit(head, _COLUMN, right=True) for head in heads), "muted")]
    for name, counted in audited.splits.items():
        share = f"{counted.loss_tokens / counted.tokens:.0%}" if counted.tokens else "·"
        numbers = (
            f"{audited.rows.get(name, 0):,}",
            f"{counted.rows:,}",
            f"{counted.tokens:,}",
            share,
            f"{counted.longest:,}",
        )
        yield [(fit(name, _NAME), ""), ("".join(fit(number, _COLUMN, right=True) for number in numbers), "")]


def _histogram(title: str, bins: Sequence[Bin], width: int) -> Iterator[Line]:
    if not bins:
        return
    most = max(item.rows for item in bins) or 1
    room = max(8, min(48, width - _NAME - 10))
    yield []
    yield [(title, "heading")]
    for item in bins:
        filled = "█" * max(1 if item.rows else 0, round(room * item.rows / most))
        yield [(fit(f"≤ {item.up_to:,}", _NAME), "muted"), (filled, "agent"), (f" {item.rows:,}", "")]


def _facts(audited: Audited, width: int) -> Iterator[Line]:
    packing = audited.packing
    facts = {
        "batches": f"{packing.padded:.0%} full in random order, {packing.grouped:.0%} by length, "
        f"{packing.packed:.0%} packed into {many(packing.packs, 'row')}",
        "languages": " · ".join(f"{name or 'unknown'} {tokens:,}" for name, tokens in _most_first(audited.by_language))
        + " tokens trained on",
        "took": duration(audited.seconds),
    }
    for name, value in facts.items():
        for number, piece in enumerate(wrap(value, width - _NAME)):
            yield [(fit("" if number else name, _NAME), "muted"), (piece, "")]


def _cut(audited: Audited, width: int, folded: bool) -> Iterator[Line]:
    if not audited.cut and not audited.left_out:
        return
    yield []
    yield [("longer than max_length, or not trained on", "heading")]
    told = [
        (
            item.id,
            item.split,
            item.tokens,
            f"split into {item.parts} at {'a ' if item.at[0] != 'e' else 'an '}{item.at}",
        )
        for item in audited.cut
    ]
    told += [(item.id, item.split, item.tokens, _why(item.reason, item.about, item.part)) for item in audited.left_out]
    shown = told[:_ROWS] if folded else told
    for identity, split, tokens, what in shown:
        numbers = f"{tokens:,} tokens" if tokens else ""
        yield [(fit(f"{one_line(identity)[:12]:13}{split:11}{numbers:15}{one_line(what)}", width).rstrip(), "")]
    if more := audited.all_cut + audited.number_left_out - len(shown):
        yield [(f"and {more:,} more" + (" (z unfolds)" if len(told) > len(shown) else ""), "muted")]


def _why(reason: str, about: str, part: int) -> str:
    return (
        f"left out: {LEFT_OUT.get(reason, reason)}"
        + (f" (part {part})" if part else "")
        + (f": {about}" if about else "")
    )


def _most_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
