"""Of a session's earlier requests, what tells how the files stood that an example edits: all a plain row needs of them.

In a long session all earlier requests, made safe and played again for every example, would take most of a build.
"""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.curation.actions import actions, edits_in_text
from lora_tui.sources.model import Message, text_of


def about_the_same_files(earlier: Sequence[Message], own: Sequence[Message]) -> list[Message]:
    """The messages that name a file which `own` edits, with the outputs of their calls; all where it edits nothing.

    earlier: as stored. own: without secrets; a name that holds one cannot be looked for, then too all are kept.
    """
    names = {path.replace("\\", "/").rpartition("/")[2] for path in _edited(own)}
    if not names or any(not name.isascii() or not name or "<" in name for name in names):
        return list(earlier)
    kept: list[Message] = []
    calls: set[str] = set()
    for message in earlier:
        if message.role == "tool":
            if message.tool_call_id in calls:
                kept.append(message)
        elif any(name in text for text in _telling(message) for name in names):
            kept.append(message)
            calls.update(call.id for call in message.tool_calls)
    return kept


def _edited(messages: Sequence[Message]) -> list[str]:
    found: list[str] = []
    for message in messages:
        if message.role != "assistant":
            continue
        found += [written.path for written in edits_in_text(text_of(message))]
        for done in actions(message):
            if done.edits:
                found += [*done.paths, *(written.path for written in done.written)]
    return found


def _telling(message: Message) -> list[str]:
    return [text_of(message), *(call.function.arguments for call in message.tool_calls)]
