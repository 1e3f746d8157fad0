"""The profile as a cycle trains it."""

from __future__ import annotations

import msgspec

from lora_tui.cycle.ground import Ground
from lora_tui.workspace.profiles import Profile


def recipe(ground: Ground) -> Profile:
    """What goes on from an adapter has replay, stored where the profile says none; a fresh one is as it says."""
    profile = ground.profile
    if ground.start is None or profile.forgetting.replay:
        return profile
    return msgspec.structs.replace(profile, forgetting=msgspec.structs.replace(profile.forgetting, replay="stored"))


def from_where(ground: Ground) -> str:
    """What the training begins with, in words."""
    profile = recipe(ground)
    if ground.start is None:
        return f"a fresh adapter on {profile.model.base}"
    which = "the rows it has not seen" if profile.cycle.new_rows_only else "all rows"
    share = f"{profile.forgetting.replay_share:.0%}"
    return f"goes on from {ground.start.label} with {which} and {profile.forgetting.replay} replay ({share})"
