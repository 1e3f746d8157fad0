"""Suites, prompts and expectations as rows of lists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from lora_tui.tui.safe_text import one_line
from lora_tui.tui.widgets.virtual_list import Cell, Column
from lora_tui.verify.suites import kinds as suite_kinds
from lora_tui.verify.suites.outline import Entry, Wanted
from lora_tui.verify.suites.reading import Reader
from lora_tui.verify.suites.suite import suite_paths
from lora_tui.workspace.layout import Workspace


class Listed(msgspec.Struct, frozen=True):
    """One suite of the list."""

    name: str
    path: Path
    own: bool
    draft: bool  # somebody began to change it
    prompts: int | None = None  # None: not read so far, or it cannot be read
    about: str = "…"
    broken: bool = False


def named(workspace: Workspace) -> list[Listed]:
    """Every suite there is, a person's own first, before any is read."""
    found = [
        Listed(
            name,
            path,
            own=path.is_relative_to(workspace.profiles),
            draft=(workspace.root / "drafts" / f"suite-{name}.json").is_file(),
        )
        for name, path in suite_paths(workspace).items()
    ]
    return sorted(found, key=lambda item: (not item.own, item.name))


def read(item: Listed) -> Listed:
    """The same with what the file says."""
    suite, problems = Reader(item.path).read()
    if suite is None:
        return msgspec.structs.replace(item, about=problems[0].what, broken=True)
    return msgspec.structs.replace(item, about=suite.description, prompts=len(suite.cases))


class SuiteRows:
    """A RowSource over suites."""

    def __init__(self, suites: Sequence[Listed]) -> None:
        self.suites = list(suites)

    def __len__(self) -> int:
        return len(self.suites)

    def columns(self, width: int) -> Sequence[Column]:
        """Name, prompts, whose, about."""
        return [Column(18), Column(7, True), Column(12), Column(0)]

    def cells(self, index: int) -> Sequence[Cell]:
        """One row."""
        item = self.suites[index]
        whose = "own, draft" if item.own and item.draft else "draft" if item.draft else "own" if item.own else "shipped"
        return [
            Cell(one_line(item.name)),
            Cell("–" if item.prompts is None else str(item.prompts), "muted"),
            Cell(whose, "warn" if item.draft else "accent" if item.own else "muted"),
            Cell(one_line(item.about), "bad" if item.broken else "muted"),
        ]


class EntryRows:
    """A RowSource over the prompts of a suite."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries)

    def columns(self, width: int) -> Sequence[Column]:
        """Number, language, description, expectations."""
        return [Column(3, True), Column(10), Column(0), Column(3, True)]

    def cells(self, index: int) -> Sequence[Cell]:
        """One row."""
        item = self.entries[index]
        count = Cell("–", "muted") if item.why else Cell(str(len(item.wanted)), "" if item.wanted else "warn")
        return [
            Cell(str(index + 1), "muted"),
            Cell(one_line(item.language), "accent"),
            Cell(one_line(item.description), "muted" if item.why else ""),
            count,
        ]


class WantedRows:
    """A RowSource over the expectations of a prompt: its own, then (`every`) those of all prompts."""

    def __init__(self, own: Sequence[Wanted], every: Sequence[Wanted]) -> None:
        self.wanted = [*own, *every]
        self._own = len(own)

    def __len__(self) -> int:
        return len(self.wanted)

    def of_all(self, index: int) -> bool:
        """Whether it holds for every prompt."""
        return index >= self._own

    def columns(self, width: int) -> Sequence[Column]:
        """Type, value, weight; wider: what the type says."""
        return [Column(18), Column(0), Column(14)]

    def cells(self, index: int) -> Sequence[Cell]:
        """One row."""
        item = self.wanted[index]
        weight, threshold = item.data.get("weight"), item.data.get("threshold")
        numbers = [f"×{weight}" if weight is not None else "", f"≥{threshold}" if threshold is not None else ""]
        every = "every prompt" if self.of_all(index) else " ".join(filter(None, numbers))
        said = item.words.removeprefix(item.type).strip() or suite_kinds.of(item.type).about
        return [
            Cell(one_line(item.type), "muted" if item.why or self.of_all(index) else "accent"),
            Cell(one_line(said), "muted" if item.why or self.of_all(index) else ""),
            Cell(every, "muted"),
        ]
