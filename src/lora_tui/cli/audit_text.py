"""An audit and its findings as text for people, in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from lora_tui.cli.output import table
from lora_tui.jobs.audit import Audited, Bin, Finding

_WIDTH = 80
_NAMED = 5  # rows of a finding
_BAR = 40
_INDENT = " " * 2


def audit_text(label: str, found: Audited) -> str:
    """The whole audit."""
    lines = [f"{label} with {found.base}, max_length {found.max_length:,}", "", _splits(found)]
    for title, bins in (
        ("tokens per training row", found.train.lengths),
        ("tokens that carry loss per training row", found.train.losses),
        ("tokens before the first that carries loss", found.train.prompts),
    ):
        lines += histogram(title, bins)
    if found.train.rows:
        lines += ["", *_packing(found)]
    if found.by_language:
        told = ", ".join(f"{name or 'unknown'} {count:,}" for name, count in sorted(found.by_language.items()))
        lines += textwrap.wrap(f"loss tokens per language: {told}", _WIDTH)
    lines += ["", *finding_lines(found.findings)]
    return "\n".join(lines)


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """Findings in order of gravity: severity, code, message, the first rows, what to do."""
    if not findings:
        return ["nothing was found"]
    lines: list[str] = []
    for item in sorted(findings, key=lambda item: ("error", "warning", "note").index(item.severity)):
        lines += textwrap.wrap(
            f"{item.severity} {item.code}: {item.message}", _WIDTH, subsequent_indent=_INDENT, break_on_hyphens=False
        )
        if item.rows:
            named = item.rows[:_NAMED]
            more = f" and {item.count - len(named):,} more" if item.count > len(named) else ""
            lines += _wrapped(f"rows {', '.join(named)}{more}")
        lines += _wrapped(item.fix) if item.fix else []
    return lines


def histogram(title: str, bins: Iterable[Bin]) -> list[str]:
    """A title and a bar per bin; nothing where there are no rows."""
    shown = list(bins)
    if not shown:
        return []
    most = max(item.rows for item in shown)
    lines = ["", title]
    for item in shown:
        bar = "█" * max(1 if item.rows else 0, round(_BAR * item.rows / most))
        lines.append(f"{f'≤ {item.up_to:,}':>12}  {bar} {item.rows:,}")
    return lines


def _splits(found: Audited) -> str:
    rows = [
        (
            split,
            number,
            counted.rows,
            found.all_left_out.get(split, 0),
            counted.tokens,
            counted.loss_tokens,
            f"{counted.loss_tokens / counted.tokens:.0%}" if counted.tokens else "-",
            counted.longest,
        )
        for split, number in found.rows.items()
        if (counted := found.splits.get(split)) is not None
    ]
    return table(rows, ("split", "rows", "trained", "left out", "tokens", "with loss", "share", "longest"))


def _packing(found: Audited) -> list[str]:
    packing = found.packing
    return textwrap.wrap(
        f"batches are {packing.padded:.0%} full in random order, {packing.grouped:.0%} with rows of similar length; "
        f"packed, {packing.packs:,} sequences are {packing.packed:.0%} full",
        _WIDTH,
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False)
