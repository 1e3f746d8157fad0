"""What can be trained on what: profiles and dataset versions as rows of two lists."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lora_tui.dataset import versions
from lora_tui.dataset.model import Dataset
from lora_tui.tui.safe_text import age, one_line
from lora_tui.tui.widgets.virtual_list import Cell, Column
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, load_profile, profile_paths


class Choices(msgspec.Struct, frozen=True):
    """Every profile (None: its file is damaged, and why) and every dataset version, newest first."""

    profiles: tuple[tuple[str, Profile | None, str], ...]
    datasets: tuple[Dataset, ...]


def read(workspace: Workspace, presets: Sequence[str] = ()) -> Choices:
    """Read all of them; the presets are laid over every profile."""
    profiles: list[tuple[str, Profile | None, str]] = []
    for name in profile_paths(workspace):
        try:
            profiles.append((name, load_profile(workspace, name, presets=presets, backend="local"), ""))
        except LoraTuiError as error:
            profiles.append((name, None, str(error)))
    return Choices(profiles=tuple(profiles), datasets=tuple(versions.versions(workspace)))


class ProfileRows:
    """A RowSource over profiles."""

    def __init__(self, choices: Choices) -> None:
        self.profiles = choices.profiles

    def __len__(self) -> int:
        return len(self.profiles)

    def columns(self, width: int) -> Sequence[Column]:
        """Name, what it is for."""
        longest = max((len(name) for name, _, _ in self.profiles), default=8)
        return (Column(min(20, longest + 1)), Column(0))

    def cells(self, index: int) -> Sequence[Cell]:
        """One profile."""
        name, profile, problem = self.profiles[index]
        if profile is None:
            return (Cell(one_line(name), "bad"), Cell(one_line(problem), "bad"))
        about = profile.description or f"{', '.join(profile.data.languages)} on {profile.model.base}"
        return (Cell(one_line(name)), Cell(one_line(about), "muted"))


class DatasetRows:
    """A RowSource over dataset versions."""

    def __init__(self, choices: Choices, now: float) -> None:
        self.datasets = choices.datasets
        self._now = now

    def __len__(self) -> int:
        return len(self.datasets)

    def columns(self, width: int) -> Sequence[Column]:
        """Name, training rows, age."""
        return (Column(0), Column(12, right=True), Column(3, right=True))

    def cells(self, index: int) -> Sequence[Cell]:
        """One version."""
        found = self.datasets[index]
        return (
            Cell(one_line(found.label)),
            Cell(f"{found.manifest.rows.get('train', 0):,} rows", "muted"),
            Cell(age(int(found.manifest.created * 1000), self._now), "muted"),
        )
