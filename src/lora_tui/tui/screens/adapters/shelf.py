"""What lies in the registry, read in one go: every version with its names, and those that cannot be read."""

from __future__ import annotations

import msgspec

from lora_tui.adapters import aliases, registry, stored, tombstones
from lora_tui.adapters.metadata import METADATA, Metadata
from lora_tui.adapters.peft_folder import WEIGHTS
from lora_tui.adapters.registry import Adapter
from lora_tui.verify.reports import report
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

_FIRST = (aliases.PRODUCTION, aliases.CANDIDATE, aliases.STANDBY)


class Score(msgspec.Struct, frozen=True):
    """How a version did in its newest comparison."""

    passed: int  # answers
    answers: int  # that were judged
    against: int  # what of the baseline's passed


class Item(msgspec.Struct, frozen=True):
    """One version. `problem` says why its metadata cannot be read; it then has a name, a version and no more."""

    adapter: Adapter
    aliases: tuple[str, ...] = ()  # production first
    size: int = 0  # bytes of its weights
    score: Score | None = None
    problem: str = ""

    @property
    def label(self) -> str:
        """coder@1.1.0"""
        return self.adapter.label

    def holds(self, words: list[str]) -> bool:
        """Whether each of the words, in small letters, stands in what it is known by."""
        about = self.adapter.metadata
        told = (self.label, *self.aliases, about.base, about.dataset, about.strategy, *about.tags, *about.parents)
        text = " ".join(told).lower()
        return all(word in text for word in words)


class Shelf(msgspec.Struct, frozen=True):
    """All versions, newest first; what they are made of; how many were removed."""

    items: tuple[Item, ...] = ()
    removed: int = 0
    problem: str = ""  # of the aliases


def read(workspace: Workspace) -> Shelf:
    """Read the registry; takes in what runs finished meanwhile."""
    problem = ""
    pointed: dict[str, list[str]] = {}
    try:
        for names in aliases.aliases(workspace).values():
            for alias in sorted(names, key=_first):
                pointed.setdefault(names[alias], []).append(alias)
    except LoraTuiError as error:
        problem = str(error)
    known = registry.adapters(workspace)
    scores = _scores(workspace)
    items = [
        Item(adapter, tuple(pointed.get(adapter.label, ())), _size(adapter), scores.get(adapter.label))
        for adapter in known
    ]
    whole = {adapter.folder for adapter in known}
    for folder in stored.folders(workspace):
        if folder not in whole:
            adapter = Adapter(folder, Metadata(name=folder.parent.name, version=folder.name))
            here = tuple(pointed.get(adapter.label, ()))
            items.append(Item(adapter, here, _size(adapter), problem=f"{METADATA} cannot be read"))
    return Shelf(tuple(items), len(tombstones.tombstones(workspace)), problem)


def _first(alias: str) -> tuple[int, str]:
    return (_FIRST.index(alias) if alias in _FIRST else len(_FIRST), alias)


def _size(adapter: Adapter) -> int:
    path = adapter.folder / WEIGHTS
    return path.stat().st_size if path.is_file() else 0


def _scores(workspace: Workspace) -> dict[str, Score]:
    """Of every adapter that was compared, as the fine-tune, its newest comparison."""
    found: dict[str, Score] = {}
    for item in reversed(report.reports(workspace)):
        passed, of = item.tallies[report.TUNED]
        found[report.named(item.tuned)] = Score(passed, of, item.tallies[report.BASELINE][0])
    return found
