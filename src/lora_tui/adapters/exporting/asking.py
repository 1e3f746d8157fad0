"""From what a person typed to an export's job: the adapter, its base, and all that can be refused before it starts."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import msgspec

from lora_tui.adapters import registry
from lora_tui.adapters.exporting import quantize
from lora_tui.adapters.exporting.base import Base, folder_of
from lora_tui.adapters.exporting.deltas import fitting
from lora_tui.adapters.exporting.gguf_files import is_written_here, model_pieces
from lora_tui.adapters.exporting.gguf_library import library
from lora_tui.adapters.exporting.merged import merged_bytes
from lora_tui.adapters.exporting.modelfile import check_name, settings
from lora_tui.adapters.exporting.work import refuse_existing
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.adapters.stored import Adapter
from lora_tui.backends import bases
from lora_tui.jobs.job import Export
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

NONE = "none"


def prepared(workspace: Workspace, wanted: Export, adapter: str, base: str) -> Export:
    """`wanted` with the folders of an adapter ("none": the base alone) and its base, which is that of the adapter
    where none is named. Raises BadInput for all that the job would be refused for.
    """
    found = None if adapter == NONE else registry.opened(workspace, adapter)
    named = base or (found.metadata.base if found is not None else "")
    if not named:
        raise BadInput("which base? The adapter does not say", where=adapter, fix="Name it with --base.")
    resolved = bases.find(workspace, named)
    revision = found.metadata.base_revision if found is not None and not base else ""
    folder = folder_of(resolved, revision)
    job = msgspec.structs.replace(
        wanted,
        base=str(folder.absolute()),
        base_name=named if not Path(resolved).is_dir() else folder.name,
        adapter=str(found.folder) if found is not None else "",
        adapter_name=_called(found),
        output=str(Path(wanted.output).expanduser().absolute()) if wanted.output else "",
    )
    _check(job)
    return job


def _called(found: Adapter | None) -> str:
    """How an adapter is called in what is written: a folder by its last part, not by where it lies here."""
    if found is None:
        return ""
    return found.label if found.metadata.version else found.folder.name


def _check(job: Export) -> None:
    if job.output:
        refuse_existing(Path(job.output))
    if job.adapter_only and not job.adapter:
        raise BadInput("there is no adapter to export alone", fix="Name one in place of 'none'.")
    with ExitStack() as stack:
        base = stack.enter_context(Base(Path(job.base)))
        if job.adapter:
            fitting(base, stack.enter_context(PeftFolder(Path(job.adapter), job.adapter_name)))
        if job.what == "merged":
            merged_bytes(base, job.type)
            return
        library()
        kind = quantize.named(job.type) if job.type else ""
        model_pieces(base, kind if is_written_here(kind) else "f32")
    if job.what == "ollama":
        check_name(job.model)
        settings(job.parameters)
    if kind and not is_written_here(kind) and not (job.what == "ollama" and not job.output and kind in quantize.OLLAMA):
        quantize.check_can(kind)
