"""A version's statistics as text for people, in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from lora_tui.cli.audit_text import histogram
from lora_tui.cli.output import safe, table
from lora_tui.dataset.coverage import Covered
from lora_tui.dataset.model import SPLITS
from lora_tui.dataset.statistics import Alike, Part, Statistics, Tokens

WIDTH = 80
_NAMED = 6  # repositories and the like
_GROUPS = 5
_TITLE = 14
_ROLES = {"system": "system", "user": "user", "assistant": "answers", "tool": "tools"}  # role -> heading
_ID = 8  # characters of a row's id: enough for `dataset tokens`
_PROMPTS = 20
_POOR = 0.5


def stats_text(found: Statistics) -> str:
    """The whole of it."""
    blocks = [
        f"{found.label}: " + ", ".join(f"{found.parts[name].rows:,} {name}" for name in SPLITS),
        _counts(found),
        _parts(found.parts),
        "\n".join(
            _listed(title, counts)
            for title, counts in (
                ("repositories", found.repositories),
                ("models", found.models),
                ("licences", found.licences),
                ("origins", found.origins),
            )
            if counts
        ),
        _alike("near-duplicates, kept in one split", found.near_duplicates),
        _alike("the same answer learned again", found.same_answers),
        _removed(found.removed),
        *map(_tokens, found.tokens),
        _coverage(found.coverage),
        "\n".join(f"cannot be read: {problem}" for problem in found.problems),
    ]
    return "\n\n".join(block for block in blocks if block)


def _counts(found: Statistics) -> str:
    rows = [
        (item.language, item.source, item.train, item.validation, item.test, item.train + item.validation + item.test)
        for item in found.counts
    ]
    if len(rows) > 1:
        rows.append(("all", "", *(sum(int(row[at]) for row in rows) for at in range(2, 6))))  # type: ignore[arg-type]
    return table(rows, ("language", "source", *SPLITS, "total"), empty="no rows")


def _parts(parts: Mapping[str, Part]) -> str:
    roles = [role for role in _ROLES if any(part.characters.get(role) for part in parts.values())]
    rows = []
    for name, part in parts.items():
        whole = sum(part.characters.values())
        if part.rows:
            shares = [_percent(part.characters.get(role, 0), whole) for role in roles]
            rows.append(
                (name, part.rows, part.turns, part.calls, _short(whole), *shares, _percent(part.learned, whole))
            )
    if not rows:
        return ""
    text = table(rows, ("split", "rows", "turns", "calls", "chars", *map(_ROLES.__getitem__, roles), "learned"))
    repeated = ", ".join(f"{part.repeated:,} of {name}" for name, part in parts.items() if part.repeated)
    return text + (f"\nrows that stand there once more: {repeated}" if repeated else "")


def _listed(title: str, counts: Mapping[str, int]) -> str:
    said = [f"{name}\u00a0{number:,}" for name, number in list(counts.items())[:_NAMED]]
    more = len(counts) - len(said)
    text = ", ".join(said) + (f" and {more:,} more" if more else "")
    lines = textwrap.wrap(text, WIDTH - _TITLE, break_on_hyphens=False)
    return f"\n{'':{_TITLE}}".join([f"{title:<{_TITLE}}" + lines[0], *lines[1:]]).replace("\u00a0", " ")


def _alike(title: str, groups: Sequence[Alike]) -> str:
    lines = [f"{title}:"]
    for group in groups[:_GROUPS]:
        where = ", ".join(f"{number:,} {name}" for name, number in group.splits.items())
        lines.append(_cut(f"{group.rows:>6,} rows ({where})  {group.ids[0][:_ID]}  {group.request}"))
    return "\n".join(lines) if groups else ""


def _removed(removed: Mapping[str, int]) -> str:
    lines = [_cut(f"{number:>6,} left out, because {about}") for about, number in list(removed.items())[:_GROUPS]]
    return "\n".join(["rows like others:", *lines]) if lines else ""


def _tokens(item: Tokens) -> str:
    head = (
        f"{item.base}, max_length {item.max_length:,}: {item.rows:,} training rows, {item.tokens:,} tokens, "
        f"{_percent(item.loss_tokens, item.tokens)} with loss"
    )
    lines = textwrap.wrap(head, WIDTH, break_on_hyphens=False)
    lines += histogram("tokens per training row", item.lengths)
    lines += histogram("tokens that carry loss per training row", item.losses)
    return "\n".join(lines)


def _coverage(prompts: Sequence[Covered]) -> str:
    if not prompts:
        return ""
    poor = sum(item.share < _POOR for item in prompts)
    suites = ", ".join(sorted({item.suite for item in prompts}))
    number = f"{len(prompts):,} prompt{'s' if len(prompts) > 1 else ''}"
    lines = textwrap.wrap(
        f"coverage of {suites}: {number}, {poor:,} of which have less than half of their words in one row of train. "
        "Below: that share, the rare words counting more, with the row that has it.",
        WIDTH,
    )
    for item in prompts[:_PROMPTS]:
        lines.append(_cut(f"{item.share:>5.0%}  {item.prompt}"))
        if item.nearest:
            lines.append(_cut(f"       {item.nearest[0].id[:_ID]}  {item.nearest[0].request}"))
        if item.unknown:
            lines.append(_cut(f"       in no row: {', '.join(item.unknown)}"))
    if len(prompts) > _PROMPTS:
        lines.append(f"       and {len(prompts) - _PROMPTS:,} prompts that are covered better")
    return "\n".join(lines)


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def _short(number: int) -> str:
    """12345678 as 12.3M."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)


def _cut(text: str) -> str:
    """One line of at most 80 cells."""
    from rich.cells import cell_len, set_cell_size

    line = safe(text.replace("\n", " ").replace("\t", " "))
    return line if cell_len(line) <= WIDTH else set_cell_size(line, WIDTH - 1).rstrip() + "…"
