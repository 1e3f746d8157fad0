"""What the demo brings along: sessions written for lora-tui, the chats of its tiny base, and its suite's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lora_tui.workspace import toml

SUITE = "tiny"
PROFILE = "tiny"

_HERE = Path(__file__).resolve().parent


def sessions() -> list[dict[str, Any]]:
    """The sessions in the input format of `demo.opencode_db.write_database`, oldest first.

    A subagent's session names its parent by title in the files; here `parent` is the parent's index.
    """
    found = [session for path in sorted((_HERE / "sessions").glob("*.toml")) for session in toml.read(path)["sessions"]]
    found.sort(key=lambda session: session["created"])
    places = {session["title"]: index for index, session in enumerate(found)}
    for session in found:
        if "parent_title" in session:
            session["parent"] = places[session.pop("parent_title")]
    return found


def chats_path() -> Path:
    """The chat file the tiny base is made from."""
    return _HERE / "chats.toml"
