"""The registry: adapters/<name>/<version>/, immutable folders in PEFT layout with what made them.

What others use of it: `adapters`, `find`, `opened`, `add`. How a version is made whole: `publishing`; which number it
gets: `numbering`; what points to it: `aliases`.
"""

from __future__ import annotations

from pathlib import Path

from lora_tui.adapters import aliases, checksums, describing, tombstones
from lora_tui.adapters.finished import register_finished as register_finished
from lora_tui.adapters.metadata import Metadata as Metadata
from lora_tui.adapters.numbering import order
from lora_tui.adapters.publishing import add as add
from lora_tui.adapters.publishing import seal
from lora_tui.adapters.stored import Adapter as Adapter
from lora_tui.adapters.stored import registered, unreadable
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

FISHER = "fisher.safetensors"  # what a later run's EWC is to hold to; only where the profile asked for it


def adapters(workspace: Workspace, failed: dict[str, str] | None = None) -> list[Adapter]:
    """Every registered version, newest first; takes in what runs finished meanwhile.

    failed: gets the runs whose adapter could not be registered, and why.
    """
    register_finished(workspace, failed)
    found = registered(workspace)
    seal(workspace, found)
    return found


def find(workspace: Workspace, label: str) -> Adapter:
    """The version called 'tiny@1.2.0' or 'tiny@production', or the newest of 'tiny'. Raises BadInput."""
    name, _, version = label.partition("@")
    failed: dict[str, str] = {}
    every = adapters(workspace, failed)
    alias = version
    version = _pointed_at(workspace, name, version)
    found = [item for item in every if item.metadata.name == name and version in ("", item.metadata.version)]
    if not found:
        for item in tombstones.tombstones(workspace):
            if (item.name, item.version) == (name, version):
                raise BadInput(f"{name}@{version} was removed{f': {item.why}' if item.why else ''}")
        if why := unreadable(workspace).get(f"{name}@{version}"):
            fix = f"See `lora-tui adapters verify {name}@{version}`."
            raise BadInput(f"{name}@{version} cannot be read: {why}", fix=fix)
        if alias != version:
            fix = "`lora-tui adapters tag` points it elsewhere."
            raise BadInput(f"{name}@{alias} is {name}@{version}, which is not there", fix=fix)
        for run, why in failed.items():
            raise LoraTuiError(
                f"there is no adapter {label!r}, and that of the run {run} could not be registered: {why}"
            )
        known = ", ".join(item.label for item in every) or "none yet"
        raise BadInput(f"there is no adapter {label!r}", fix=f"Known: {known}. `lora-tui train` makes one.")
    return max(found, key=lambda item: order(item.metadata.version))


def _pointed_at(workspace: Workspace, name: str, version: str) -> str:
    if not version or version[0].isdigit():
        return version
    return aliases.target(workspace, name, version) or version


def opened(workspace: Workspace, text: str) -> Adapter:
    """What a person named: NAME, NAME@VERSION, NAME@ALIAS, or the folder of an adapter anywhere. Raises BadInput.

    A registered name is meant before a folder of that name here, which is called ./NAME. Of a folder the
    metadata says what its config says; its version is empty and its label is the folder.
    """
    folder = Path(text).expanduser()
    if text.partition("@")[0] in {item.metadata.name for item in registered(workspace)}:
        return find(workspace, text)
    if not (folder / describing.CONFIG).is_file():
        if folder.is_absolute() or text.startswith((".", "~")):
            raise BadInput(f"this is no adapter: it has no {describing.CONFIG}", where=str(folder))
        return find(workspace, text)
    for item in registered(workspace):
        if item.folder == folder.absolute():
            return item
    folder = folder.absolute()
    return Adapter(folder=folder, metadata=describing.described(Metadata(name=folder.name), folder))


def damaged_files(adapter: Adapter) -> list[str]:
    """The files whose content is not what SHA256SUMS says; that file itself when it is gone."""
    try:
        known = checksums.read(adapter.folder)
    except BadInput:
        return [checksums.CHECKSUMS]
    paths = {name: adapter.folder / name for name in known}
    return [name for name, path in paths.items() if not path.is_file() or checksums.sha256(path) != known[name]]
