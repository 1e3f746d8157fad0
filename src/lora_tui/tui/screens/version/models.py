"""Whose tokenizer, template and max_length a version is looked at with: a profile's."""

from __future__ import annotations

import msgspec

from lora_tui.backends import bases
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, load_profile, profile_paths


class Choice(msgspec.Struct, frozen=True):
    """A profile whose base is at hand, or (base '') why it is not."""

    profile: Profile
    base: str
    problem: str = ""

    @property
    def text(self) -> str:
        """As a choice in a list."""
        name = f"{self.profile.name}: {self.profile.model.base}, max_length {self.profile.training.max_length:,}"
        return f"{name} ({self.problem})" if self.problem else name


def choices(workspace: Workspace) -> list[Choice]:
    """Every profile that can be read."""
    found = []
    for name in profile_paths(workspace):
        try:
            profile = load_profile(workspace, name)
        except LoraTuiError:
            continue
        try:
            found.append(Choice(profile, bases.resolve(workspace, profile)))
        except LoraTuiError as error:
            found.append(Choice(profile, "", error.what))
    return found


def fitting(found: list[Choice], wanted: str) -> Choice | None:
    """The wanted profile when its base is at hand, else the first whose is a folder on this machine."""
    usable = [item for item in found if item.base]
    named = next((item for item in usable if item.profile.name == wanted), None)
    return named or next((item for item in usable if item.base.startswith("/")), None)
