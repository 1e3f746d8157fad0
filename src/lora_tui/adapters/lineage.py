"""What an adapter comes from: the versions it went on from, and the rows that all of them were trained on."""

from __future__ import annotations

from pathlib import Path

from lora_tui.adapters import registry
from lora_tui.adapters.registry import Adapter
from lora_tui.backends.start import Start
from lora_tui.dataset import stored, versions
from lora_tui.dataset.model import Dataset
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


def lineage(workspace: Workspace, adapter: Adapter) -> list[Adapter | str]:
    """The adapter, what it went on from, what that went on from, …; a version that is gone by its name alone."""
    known = {item.label: item for item in registry.adapters(workspace)}
    found: list[Adapter | str] = []
    waiting = [adapter.label]
    while waiting:
        label = waiting.pop(0)
        if label not in {item if isinstance(item, str) else item.label for item in found}:
            item = known.get(label)
            found.append(item or label)
            waiting += item.metadata.parents if item else ()
    return found


def start_of(workspace: Workspace, label: str, dataset: Dataset, *, new_only: bool = False) -> Start:
    """The version that `label` names, ready to go on from; with `new_only` the rows are named that it has seen.

    Raises BadInput when there is none, its files are damaged, or nobody can tell any more what it has seen.
    """
    adapter = registry.find(workspace, label)
    if damaged := registry.damaged_files(adapter):
        raise BadInput(
            f"{adapter.label} is damaged: {', '.join(damaged)}",
            where=str(adapter.folder),
            fix="Go on from another version; see `lora-tui adapters list`.",
        )
    known = known_rows(workspace, adapter, dataset) if new_only else frozenset()
    metadata = adapter.metadata
    return Start(folder=adapter.folder, name=adapter.label, base=metadata.base, lora=metadata.lora, known=known)


def known_rows(workspace: Workspace, adapter: Adapter, dataset: Dataset) -> frozenset[str]:
    """Ids of the rows of `dataset`'s train split that the adapter or what it comes from was trained on.

    Raises BadInput where a version is gone or changed, or where no row is new.
    """
    here = {row.id for row in stored.rows(dataset, "train")}
    seen: set[str] = set()
    for item in lineage(workspace, adapter):
        if isinstance(item, str):
            raise _untold(f"{item}, which {adapter.label} comes from, is gone")
        seen |= here & {row.id for row in stored.rows(_seen_by(workspace, item), "train")}
    if here and seen == here:
        raise BadInput(
            f"no row of {dataset.label} is new to {adapter.label}",
            fix="Accept more examples and build the dataset again, or train without --new-only.",
        )
    return frozenset(seen)


def dataset_of(workspace: Workspace, adapter: Adapter) -> Dataset:
    """The version it was trained on. Raises BadInput where that is gone, or is no longer the same."""
    metadata = adapter.metadata
    name, _, number = metadata.dataset.partition("@")
    folder = workspace.datasets / name / number if number else Path(metadata.dataset)
    try:
        found = versions.opened(folder)
    except BadInput as error:
        raise BadInput(f"the dataset {metadata.dataset} of {adapter.label} is gone") from error
    if metadata.dataset_hash and found.manifest.hash != metadata.dataset_hash:
        raise BadInput(f"the dataset {metadata.dataset} is no longer the one that {adapter.label} was trained on")
    return found


def _seen_by(workspace: Workspace, adapter: Adapter) -> Dataset:
    try:
        return dataset_of(workspace, adapter)
    except BadInput as error:
        raise _untold(error.what) from error


def _untold(what: str) -> BadInput:
    return BadInput(f"which rows are new cannot be told: {what}", fix="Train on all rows, without --new-only.")
