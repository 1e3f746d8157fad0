"""What a run begins with: a fresh adapter, or a version that was trained before."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lora_tui.adapters import registry
from lora_tui.adapters.lineage import start_of
from lora_tui.backends import bases
from lora_tui.backends.start import Start, check_fits
from lora_tui.dataset.model import Dataset
from lora_tui.tui.safe_text import one_line
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

FRESH = "fresh"


class Onwards(msgspec.Struct, frozen=True):
    """Which adapter to go on from, and whether with the rows alone that it has not seen."""

    label: str
    new_only: bool

    @property
    def value(self) -> str:
        """Its name among the choices."""
        return f"{self.label} new" if self.new_only else self.label

    @property
    def words(self) -> str:
        """As the plan says it."""
        return f"goes on from {one_line(self.label)}{', with the rows alone that are new to it' * self.new_only}"


def choices(workspace: Workspace, profile: Profile) -> Sequence[tuple[str, str]]:
    """What can be chosen for a profile, as (value, text): of the adapters those that it can go on from."""
    found = [(FRESH, "a fresh adapter")]
    base = bases.resolve(workspace, profile)
    for item in registry.adapters(workspace):
        about = item.metadata
        try:
            check_fits(profile, base, Start(item.folder, item.label, about.base, about.lora))
        except LoraTuiError:
            continue
        text = f"{item.label}, trained on {about.dataset}"
        found.append((item.label, text))
        found.append((f"{item.label} new", f"{item.label}, with the rows alone that are new to it"))
    return found


def chosen(value: str) -> Onwards | None:
    """The choice of this name; None for a fresh adapter."""
    label, _, new = value.partition(" ")
    return None if value == FRESH else Onwards(label, bool(new))


def start(workspace: Workspace, onwards: Onwards | None, dataset: Dataset) -> Start | None:
    """The version, ready to go on from. Raises BadInput where it cannot be gone on from with this dataset."""
    return start_of(workspace, onwards.label, dataset, new_only=onwards.new_only) if onwards else None
