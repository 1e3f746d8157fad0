"""The chat files that [forgetting] of a profile names."""

from __future__ import annotations

import os
from pathlib import Path

from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile


def chat_file(workspace: Workspace, key: str, profile: Profile) -> str:
    """The chat file that a key of [forgetting] names; '' where it names none and the shipped one is meant.

    A relative path is looked for in the working folder, then in the workspace's. Raises BadInput when there is none.
    """
    given: str = getattr(profile.forgetting, key)
    if not given:
        return ""
    for path in (Path(os.path.expanduser(given)), workspace.root / given):
        if path.exists():
            return str(path.absolute())
    raise BadInput(
        f"forgetting.{key}: there is no such chat file: {given}",
        where=f"profile {profile.name}",
        fix="Give a chat file (ShareGPT, messages, Alpaca, prompt/completion), or leave it empty for the shipped one.",
    )
