"""From what a person named to a merge job: the adapters found and compared, the output checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lora_tui.adapters import registry
from lora_tui.adapters.merging.sources import identity_of
from lora_tui.adapters.metadata import check_name
from lora_tui.adapters.stored import Adapter
from lora_tui.jobs import merging, supervisor
from lora_tui.jobs.job import Merge
from lora_tui.jobs.merging import Recipe
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_CONTRACT = {
    "base_revision": "revisions of the base",
    "tokenizer_hash": "tokenizers",
    "template_hash": "chat templates",
}


def sources_of(workspace: Workspace, names: Sequence[str]) -> tuple[merging.Source, ...]:
    """NAME, NAME@VERSION, NAME@ALIAS or folders, as they are now.

    Raises BadInput where one is damaged, or they do not go together.
    """
    found = [registry.opened(workspace, name) for name in names]
    for item in found:
        if item.metadata.version and (damaged := registry.damaged_files(item)):
            raise BadInput(
                f"{item.label} is damaged: {', '.join(damaged)}",
                where=str(item.folder),
                fix="Merge another version; see `lora-tui adapters verify`.",
            )
    for other in found[1:]:
        _refuse_another_contract(found[0], other)
    return tuple(
        merging.Source(
            label=item.label,
            folder=str(item.folder),
            identity=item.label if item.metadata.version else identity_of(item.folder),
        )
        for item in found
    )


def _refuse_another_contract(one: Adapter, other: Adapter) -> None:
    for field, what in _CONTRACT.items():
        ours, theirs = getattr(one.metadata, field), getattr(other.metadata, field)
        if ours and theirs and ours != theirs:
            raise BadInput(
                f"{one.label} and {other.label} were made for different {what}: {ours[:12]} and {theirs[:12]}",
                where=str(other.folder),
                fix="Only adapters of one base can be merged.",
            )


def create(
    workspace: Workspace, sources: Sequence[merging.Source], recipe: Recipe, *, name: str = "", output: str = ""
) -> Run:
    """A merge that is not started yet. Raises BadInput where the output has no name or cannot be written."""
    if bool(name) == bool(output):
        raise BadInput(
            "what is the merged adapter to be called?" if not name else "a name or a folder, not both",
            fix="Give --name for a new version in the registry, or --output for a folder.",
        )
    if name:
        check_name(name)
    else:
        output = str(Path(output).expanduser().absolute())
        if os.path.lexists(output):
            raise BadInput("there is something already", where=output, fix="Choose another folder.")
    title = f"{name or output}: {' + '.join(source.label for source in sources)} ({recipe.strategy})"
    job = Merge(sources=tuple(sources), recipe=recipe, name=name, output=output)
    return supervisor.create(workspace, job, title)
