"""What a person decided beside profile and dataset; all but the preset holds for one profile."""

from __future__ import annotations

from lora_tui.tui.screens.train import where
from lora_tui.tui.screens.train.going_on import Onwards
from lora_tui.workspace.profiles import Profile
from lora_tui.workspace.profiles.settings import with_settings


class Decided:
    """Lives as long as the screen."""

    def __init__(self) -> None:
        self.presets: tuple[str, ...] = ()  # laid over every profile
        self.fitted: dict[str, tuple[str, ...]] = {}  # settings that make it fit, as asked for
        self.onwards: dict[str, Onwards] = {}  # the adapter its run is to go on from
        self.where: dict[str, str] = {}  # the way that was chosen

    def way(self, profile: str) -> str:
        """Where it is to be trained."""
        return self.where.get(profile, where.HERE)

    def go_on(self, profile: str, onwards: Onwards | None) -> None:
        """Begin with that; None: a fresh adapter."""
        self.onwards.pop(profile, None)
        if onwards is not None:
            self.onwards[profile] = onwards

    def over(self, profile: Profile) -> Profile:
        """The profile with what makes it fit."""
        return with_settings(profile, self.fitted.get(profile.name, ()))
