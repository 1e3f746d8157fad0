"""Stand-ins until curation has these."""

from __future__ import annotations

from lora_tui.sources.model import Message
from lora_tui.workspace.layout import Workspace


def context(workspace: Workspace, example_id: int, room: int) -> list[Message]:
    return []
