"""What a version holds, counted row by row: who says how much, what is alike, what train speaks of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lora_tui.dataset.coverage import Covered
from lora_tui.dataset.model import SPLITS
from lora_tui.dataset.statistics import Alike, Part, Statistics
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.widgets.conversation_lines import Line
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import many

_NAME = 14
_NUMBER = 13
_SHARE = 6
_GROUPS = 5
_PROMPTS = 12
_POOR, _GOOD = 0.4, 0.7  # share of a prompt's words that the nearest row holds


def statistics_lines(found: Statistics, width: int, folded: bool) -> Iterator[Line]:
    """Everything; `folded` shows the first of each list."""
    yield [(one_line(found.label), "heading"), ("  statistics", "muted")]
    yield []
    yield from _parts(found.parts)
    yield from _coverage(found.coverage, width, folded)
    for title, groups in (
        ("rows alike, kept in one split", found.near_duplicates),
        ("rows with the same answer", found.same_answers),
    ):
        yield from _alike(title, groups, width, folded)
    for problem in found.problems:
        yield from ([(piece, "bad")] for piece in wrap(one_line(problem), width))


def _parts(parts: dict[str, Part]) -> Iterator[Line]:
    yield [(fit("", _NAME) + "".join(fit(name, _NUMBER, right=True) for name in SPLITS), "muted")]
    shown = [parts.get(name, Part()) for name in SPLITS]
    rows = [
        ("rows", [part.rows for part in shown]),
        ("repeated", [part.repeated for part in shown]),
        ("user turns", [part.turns for part in shown]),
        ("tool calls", [part.calls for part in shown]),
    ]
    roles = sorted({role for part in shown for role in part.characters})
    rows += [(role, [part.characters.get(role, 0) for part in shown]) for role in roles]
    rows.append(("trained on", [part.learned for part in shown]))
    for name, numbers in rows:
        if any(numbers):
            told = "".join(fit(f"{number:,}" if number else "·", _NUMBER, right=True) for number in numbers)
            yield [(fit(one_line(name), _NAME), "" if name != "trained on" else "good"), (told, "")]
    yield [("what roles say and what is trained on: in characters", "muted")]


def _coverage(covered: Sequence[Covered], width: int, folded: bool) -> Iterator[Line]:
    if not covered:
        return
    yield []
    yield [("what the suite asks, and the nearest training row", "heading")]
    for item in covered[:_PROMPTS] if folded else covered:
        tone = "bad" if item.share < _POOR else "good" if item.share >= _GOOD else "found"
        yield [
            (fit(f"{item.share:.0%}", _SHARE - 2, right=True) + "  ", tone),
            (fit(one_line(item.prompt), width - _SHARE).rstrip(), ""),
        ]
        near = f"near: {item.nearest[0].request}" if item.nearest else "no row speaks of it"
        yield [(" " * _SHARE, ""), (fit(one_line(near), width - _SHARE).rstrip(), "muted")]
    if folded and len(covered) > _PROMPTS:
        yield [(f"and {many(len(covered) - _PROMPTS, 'prompt')} that train speaks of more (z unfolds)", "muted")]


def _alike(title: str, groups: Sequence[Alike], width: int, folded: bool) -> Iterator[Line]:
    if not groups:
        return
    yield []
    yield [(title, "heading")]
    for item in groups[:_GROUPS] if folded else groups:
        where = ", ".join(f"{number} {split}" for split, number in item.splits.items())
        text = f"{where}: {one_line(item.request)}"
        yield [(fit(f"{item.rows:,} rows", 10), "you"), (fit(text, width - 10).rstrip(), "")]
