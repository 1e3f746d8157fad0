"""What a version holds, counted row by row: who says how much, what is alike, what train speaks of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lora_tui.curation.suites import prompts, suite_files
from lora_tui.dataset.coverage import Covered
from lora_tui.dataset.model import SPLITS, Dataset
from lora_tui.dataset.statistics import Alike, Part, Statistics, Tokens, statistics
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.screens.dataset.version_text import bars, counts_table
from lora_tui.tui.widgets.conversation_lines import Line
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import base_name, many
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, load_profile, profile_paths

_NAME = 14
_NUMBER = 13
_SHARE = 6
_GROUPS = 5
_PROMPTS = 12
_POOR, _GOOD = 0.4, 0.7  # share of a prompt's words that the nearest row holds


def counted(workspace: Workspace, dataset: Dataset, chosen: Profile | None) -> Statistics:
    """Reads every row. What it covers is held against the suite of the version's profile, else of the chosen one."""
    name = dataset.manifest.profile
    profile = load_profile(workspace, name) if name in profile_paths(workspace) else chosen
    suite = profile.verification.suite if profile is not None else ""
    path = suite_files(workspace).get(suite)
    return statistics(dataset, [(suite, prompt) for prompt in prompts(path)] if path is not None else [])


def statistics_lines(found: Statistics, width: int, folded: bool) -> Iterator[Line]:
    """Everything; `folded` shows the first of each list."""
    yield [(one_line(found.label), "heading"), ("  statistics", "muted")]
    yield []
    yield from counts_table(found.counts, folded)
    yield []
    yield from _parts(found.parts)
    for item in found.tokens:
        yield from _tokens(item, width)
    yield from _coverage(found.coverage, width, folded)
    for title, groups in (
        ("rows alike, kept in one split", found.near_duplicates),
        ("rows with the same answer", found.same_answers),
    ):
        yield from _alike(title, groups, width, folded)
    yield from _removed(found.removed, width, folded)
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


def _tokens(item: Tokens, width: int) -> Iterator[Line]:
    """How long the rows are with one tokenizer, and what of them is trained on."""
    share = f"{item.loss_tokens / item.tokens:.0%}" if item.tokens else "nothing"
    told = f"  {many(item.tokens, 'token')} in train, {share} trained on"
    for title, bins in (("tokens per row", item.lengths), ("tokens trained on per row", item.losses)):
        if bins:
            yield []
            yield [(f"{title}: {one_line(base_name(item.base))}", "heading"), (told, "muted")]
            yield from bars(bins, width)
            told = ""


def _removed(removed: Mapping[str, int], width: int, folded: bool) -> Iterator[Line]:
    if not removed:
        return
    yield []
    yield [("left out, because they are like others", "heading")]
    told = list(removed.items())
    for about, number in told[:_GROUPS] if folded else told:
        yield [(fit(f"{number:,}", 10), "you"), (fit(one_line(about), width - 10).rstrip(), "")]


def _coverage(covered: Sequence[Covered], width: int, folded: bool) -> Iterator[Line]:
    if not covered:
        return
    yield []
    yield [(f"what the suite {one_line(covered[0].suite)} asks, and the nearest training row", "heading")]
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
