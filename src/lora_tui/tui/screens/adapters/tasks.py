"""What is done with versions off the event loop: each says in a line what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from lora_tui.adapters import aliases, removal, tags
from lora_tui.adapters.registry import Adapter
from lora_tui.adapters.taking_in import take_in
from lora_tui.workspace.layout import Workspace


class Done(msgspec.Struct, frozen=True):
    """What to say of it, and the version to put the cursor on."""

    text: str
    show: str = ""


Task = Callable[[], Done]


def point(workspace: Workspace, adapter: Adapter, alias: str, why: str) -> Done:
    """Point an alias to the version. Raises BadInput for what cannot be an alias."""
    was = aliases.point(workspace, adapter.metadata.name, alias, adapter.metadata.version, why)
    before = f"; it was {was}" if was and was != adapter.label else ""
    return Done(f"{alias} is {adapter.label}{before}.", adapter.label)


def drop(workspace: Workspace, adapter: Adapter, alias: str, why: str) -> Done:
    """Take an alias away."""
    aliases.drop(workspace, adapter.metadata.name, alias, why)
    return Done(f"{alias} points to nothing now.", adapter.label)


def retag(workspace: Workspace, adapter: Adapter, typed: str) -> Done:
    """Give the version exactly these tags, as typed with commas between."""
    wanted = {item.strip() for item in typed.split(",") if item.strip()}
    now = set(tags.tags(workspace, adapter))
    kept = tags.retag(workspace, adapter, sorted(wanted - now), sorted(now - wanted))
    return Done(f"{adapter.label} is for {', '.join(kept) or 'nothing in particular'}.", adapter.label)


def remove(workspace: Workspace, label: str, why: str) -> Done:
    """Remove the version; aliases that point to it are dropped."""
    removal.remove(workspace, label, why, force=True)
    return Done(f"{label} is removed; its number is never given again.")


def take(workspace: Workspace, path: Path, name: str) -> Done:
    """Register a copy of the adapter that lies there; `name` is NAME, NAME@VERSION or empty."""
    called, _, version = name.partition("@")
    taken = take_in(workspace, path, name=called, version=version)
    return Done(" ".join([f"{taken.adapter.label} is taken in.", *taken.remarks]), taken.adapter.label)
