"""A new version: filled as a draft beside the others, and renamed when all of it is on the disk.

So every folder with a version's name is whole, whatever was killed and when.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from lora_tui import __version__
from lora_tui.adapters import card, checksums, describing, tombstones
from lora_tui.adapters.locking import locked
from lora_tui.adapters.metadata import METADATA, Metadata, check_name
from lora_tui.adapters.numbering import check_version, next_version
from lora_tui.adapters.stored import Adapter, folders, registered
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

_DRAFT = "draft"


def add(workspace: Workspace, metadata: Metadata, fill: Callable[[Path], object]) -> Adapter:
    """Register a version: `fill` puts adapter_config.json, adapter_model.safetensors and what else belongs to it.

    An empty version becomes the next one by `numbering`; what metadata leaves empty is read off the draft. Raises
    BadInput for a name or version that cannot be, LoraTuiError where the version exists or was removed, or the run
    has one already. Whatever is raised or killed, there is a whole version or none.
    """
    check_name(metadata.name)
    if metadata.version:
        check_version(metadata.version)
    try:
        return _add(workspace, metadata, fill)
    except OSError as error:
        raise LoraTuiError(
            f"cannot register {metadata.name}: {_reason(error)}",
            where=str(error.filename or workspace.adapters),
            fix="Free some space, or see who may read and write there.",
        ) from error


def _reason(error: OSError) -> str:
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][-1])  # of a copied folder: (from, to, why) of each file
    return error.strerror or str(error)


def _add(workspace: Workspace, metadata: Metadata, fill: Callable[[Path], object]) -> Adapter:
    home = workspace.adapters / metadata.name
    atomic.sweep_drafts(home, _DRAFT)
    with atomic.draft(home, _DRAFT) as draft:
        fill(draft)
        _set_modes(draft, 0o644, 0o755)  # what was copied may be read-only
        described = describing.described(metadata, draft)
        known = checksums.of(draft)
        with locked(workspace):
            numbered = _numbered(workspace, described)
            (draft / METADATA).write_text(toml.dump(numbered))
            (draft / card.CARD).write_text(card.card(numbered))
            checksums.write(draft, known | checksums.of(draft, (METADATA, card.CARD)))
            _set_modes(draft, 0o444, 0o755)
            folder = home / numbered.version
            atomic.publish(draft, folder)
            atomic.sync(workspace.adapters)
    _set_modes(folder, 0o444, 0o555)  # not before: a folder that nobody may write cannot be renamed everywhere
    return Adapter(folder=folder, metadata=numbered)


def seal(workspace: Workspace, adapters: Iterable[Adapter]) -> None:
    """Make versions read-only whose publisher was killed before it could; where that may not be, they stay."""
    for item in adapters:
        own = (item.folder.parent.name, item.folder.name) == (item.metadata.name, item.metadata.version)
        try:
            if own and item.folder.stat().st_mode & 0o222 and (item.folder / checksums.CHECKSUMS).is_file():
                with locked(workspace):  # not while it is removed
                    if item.folder in folders(workspace):
                        _set_modes(item.folder, 0o444, 0o555)
        except (OSError, LoraTuiError):  # a disk or a folder of others
            continue


def _inherited(metadata: Metadata, known: Mapping[str, Metadata]) -> Metadata:
    """A merge knows of its base what its parents know, also where the base is not on this machine."""
    parents = [known[label] for label in metadata.parents if label in known and known[label].base == metadata.base]
    if not metadata.strategy or not parents:
        return metadata
    fields = ("base_revision", "tokenizer_hash", "template_hash", "licence")
    missing = [field for field in fields if not getattr(metadata, field)]
    return msgspec.structs.replace(
        metadata,
        **{field: next(filter(None, (getattr(parent, field) for parent in parents)), "") for field in missing},
    )


def _set_modes(folder: Path, file: int, directory: int) -> None:
    for path in [*folder.rglob("*"), folder]:
        path.chmod(directory if path.is_dir() else file)


def _numbered(workspace: Workspace, metadata: Metadata) -> Metadata:
    every = registered(workspace)
    if metadata.run:
        for item in every:
            if item.metadata.run == metadata.run:
                raise LoraTuiError(f"the adapter of run {metadata.run} is registered already, as {item.label}")
    metadata = _inherited(metadata, {item.label: item.metadata for item in every})
    known = [item.metadata for item in every if item.metadata.name == metadata.name]
    gone = {item.version for item in tombstones.tombstones(workspace) if item.name == metadata.name}
    if metadata.version in gone:
        raise LoraTuiError(
            f"{metadata.name}@{metadata.version} was removed, and its number is not given again",
            fix="Leave the version out, or choose another.",
        )
    if metadata.version in {item.version for item in known}:
        raise LoraTuiError(
            f"{metadata.name}@{metadata.version} exists already", fix="Versions are immutable: make a new one."
        )
    version = metadata.version or next_version(metadata, known, gone)
    return msgspec.structs.replace(
        metadata, version=version, created=metadata.created or time.time(), made_with=f"lora-tui {__version__}"
    )
