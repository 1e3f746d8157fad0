"""One version with all that is known of it, read when the cursor rests on it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lora_tui.adapters import aliases, memory, tags
from lora_tui.adapters.aliases import Moved
from lora_tui.adapters.lineage import lineage
from lora_tui.adapters.memory import ServingSet
from lora_tui.tui.screens.adapters.shelf import Item
from lora_tui.verify.reports import report
from lora_tui.verify.statistics.comparison import Outcome
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace


class Result(msgspec.Struct, frozen=True):
    """One comparison that the version was part of."""

    suite: str
    passed: int  # answers
    answers: int  # that were judged
    against: str  # the other side, as an endpoint
    theirs: int  # of the other side's that passed
    verdict: str
    created: float
    outcome: Outcome  # of this version


class Opened(msgspec.Struct, frozen=True):
    """What the detail shows. `problems`: what could not be read, and why."""

    item: Item
    tags: tuple[str, ...] = ()
    line: tuple[str, ...] = ()  # the version, what it went on from, what that went on from, …
    children: tuple[str, ...] = ()  # made from it
    history: tuple[Moved, ...] = ()  # of the version's name, newest first
    results: tuple[Result, ...] = ()  # newest first
    served: ServingSet | None = None
    together: ServingSet | None = None  # of the marked versions
    problems: tuple[str, ...] = ()


def read(workspace: Workspace, item: Item, items: Sequence[Item], marked: Sequence[Item]) -> Opened:
    """Read it. A part that cannot be read is told among the problems."""
    problems: list[str] = []
    opened = Opened(item)
    if item.problem:
        return msgspec.structs.replace(opened, problems=(item.problem,))
    try:
        history = tuple(aliases.history(workspace, item.adapter.metadata.name))
        found = tags.tags(workspace, item.adapter)
        opened = msgspec.structs.replace(opened, history=history, tags=found)
    except LoraTuiError as error:
        problems.append(error.what)
    return msgspec.structs.replace(
        opened,
        line=tuple(one if isinstance(one, str) else one.label for one in lineage(workspace, item.adapter)),
        children=tuple(one.label for one in items if item.label in one.adapter.metadata.parents),
        results=tuple(_results(workspace, item.label)),
        served=_served([item], problems),
        together=_served(marked, problems) if len(marked) > 1 else None,
        problems=tuple(dict.fromkeys(problems)),
    )


def _served(items: Sequence[Item], problems: list[str]) -> ServingSet | None:
    try:
        return memory.serving_set([item.adapter for item in items])
    except LoraTuiError as error:
        problems.append(error.what)
        return None


def _results(workspace: Workspace, label: str) -> list[Result]:
    found = []
    turned: dict[Outcome, Outcome] = {"better": "worse", "worse": "better"}
    for item in report.about(workspace, label):
        own, other, against = item.tallies[report.TUNED], item.tallies[report.BASELINE], item.baseline
        outcome = item.result.outcome if item.conclusive else "undecided"
        if report.named(item.tuned) != label:
            own, other, against, outcome = other, own, item.tuned, turned.get(outcome, outcome)
        found.append(Result(item.suite, *own, against, other[0], item.verdict, item.created, outcome))
    return found
