"""What an adapter version is for, as people put it: tags that can change, beside the aliases and not in the folder.

adapters/tags.json: {"coder@1.4.0": ["rust", "tokio"]}. A version that is not in it has the tags it was registered with.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import msgspec

from lora_tui.adapters.locking import locked
from lora_tui.adapters.stored import Adapter
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

_TAG = re.compile(r"[\w+#.:-]+( [\w+#.:-]+)*")


def tags(workspace: Workspace, adapter: Adapter) -> tuple[str, ...]:
    """The tags of a version, sorted. Raises LoraTuiError where the file is damaged."""
    return every_tag(workspace, [adapter])[adapter.label]


def every_tag(workspace: Workspace, adapters: Collection[Adapter]) -> dict[str, tuple[str, ...]]:
    """{label: tags} of several versions. Raises LoraTuiError where the file is damaged."""
    kept = _read(workspace)
    return {item.label: tuple(sorted(kept.get(item.label, item.metadata.tags))) for item in adapters}


def retag(
    workspace: Workspace, adapter: Adapter, add: Collection[str] = (), remove: Collection[str] = ()
) -> tuple[str, ...]:
    """Add and remove tags of a version. Returns them. Raises BadInput for what is no tag or is not there."""
    check(add)
    with locked(workspace):
        every = _read(workspace)
        now = set(every.get(adapter.label, adapter.metadata.tags))
        if unknown := sorted(set(remove) - now):
            there = ", ".join(sorted(now)) or "none"
            raise BadInput(f"{adapter.label} has no tag {unknown[0]!r}", fix=f"It has: {there}.")
        changed = tuple(sorted((now | set(add)) - set(remove)))
        path = _path(workspace)
        atomic.sweep(path)
        atomic.write_bytes(path, msgspec.json.format(msgspec.json.encode({**every, adapter.label: changed}), indent=2))
        atomic.sync(path.parent)
    return changed


def check(tags: Collection[str]) -> None:
    """Raises BadInput for what cannot be a tag."""
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise BadInput(f"{tag!r} cannot be a tag", fix="Use letters, digits and - _ . + # :")


def _path(workspace: Workspace) -> Path:
    return workspace.adapters / "tags.json"


def _read(workspace: Workspace) -> dict[str, tuple[str, ...]]:
    path = _path(workspace)
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, tuple[str, ...]])
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise LoraTuiError(
            f"the tags cannot be read: {error}", where=str(path), fix="Mend the file, or remove it and tag again."
        ) from error
