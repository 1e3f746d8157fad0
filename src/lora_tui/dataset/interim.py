"""Stand-ins until curation has these."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.sources.model import Message
from lora_tui.workspace.layout import Workspace


def trimmed(messages: Sequence[Message], cap: int = 2000) -> list[Message]:
    return list(messages)


def weights(messages: Sequence[Message]) -> list[int]:
    return [
        int(m.role == "assistant" and m.about.weight != 0 and not m.about.context and not m.about.origin)
        for m in messages
    ]


def context(workspace: Workspace, example_id: int, room: int) -> list[Message]:
    return []
