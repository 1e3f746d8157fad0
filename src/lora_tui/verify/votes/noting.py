"""What people write about single prompts of a report: notes.jsonl beside it only grows."""

from __future__ import annotations

import time as clock

import msgspec

from lora_tui.verify.reports import beside
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_FILE = "notes.jsonl"


class Note(msgspec.Struct, frozen=True):
    """One person's note on a prompt."""

    prompt: int  # from 0, in the suite's order
    text: str
    author: str
    time: float = 0.0  # epoch seconds; filled in by `note`


def note(workspace: Workspace, report_id: str, new: Note) -> None:
    """Write a note down; it takes the place of its author's earlier one on the prompt, and empty removes it."""
    if not new.author or new.prompt < 0:
        raise BadInput("a note needs an author and a prompt", where=report_id)
    made = msgspec.structs.replace(new, text=new.text.strip(), time=new.time or clock.time())
    beside.append(beside.path_of(workspace, report_id, _FILE), made)


def notes(workspace: Workspace, report_id: str) -> list[Note]:
    """The notes that hold, by prompt: of each author the latest."""
    latest = {
        (item.prompt, item.author): item for item in beside.read(beside.path_of(workspace, report_id, _FILE), Note)
    }
    return sorted((item for item in latest.values() if item.text), key=lambda item: (item.prompt, item.time))
