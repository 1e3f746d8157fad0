"""The screens of the app, in the order of the work; each is imported when it is first shown."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import msgspec

from lora_tui.workspace.errors import BadInput

if TYPE_CHECKING:
    from lora_tui.tui.stage import Stage


class StageEntry(msgspec.Struct, frozen=True):
    """One screen: its name, what the top line calls it, its key there, and the class in screens/<name>/screen.py."""

    name: str
    title: str
    key: str
    kind: str

    def open(self) -> Stage:
        """Import and make the screen."""
        module = importlib.import_module(f"lora_tui.tui.screens.{self.name}.screen")
        made: Stage = getattr(module, self.kind)()
        return made


STAGES: tuple[StageEntry, ...] = (
    StageEntry("home", "Home", "", "HomeScreen"),
    StageEntry("sessions", "Sessions", "F2", "SessionsScreen"),
    StageEntry("dataset", "Dataset", "F3", "DatasetScreen"),
    StageEntry("train", "Train", "F4", "TrainScreen"),
    StageEntry("monitor", "Monitor", "F5", "MonitorScreen"),
    StageEntry("adapters", "Adapters", "F6", "AdaptersScreen"),
    StageEntry("verify", "Verify", "F7", "VerifyScreen"),
)


def stage(name: str) -> StageEntry:
    """The screen called `name`. Raises BadInput."""
    for entry in STAGES:
        if entry.name == name:
            return entry
    raise BadInput(f"there is no screen {name!r}", fix=f"Screens: {', '.join(item.name for item in STAGES)}.")
