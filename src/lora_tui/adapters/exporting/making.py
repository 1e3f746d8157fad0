"""The exports that are files: a merged folder, a GGUF of a model or of an adapter. Room is looked for first."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from lora_tui.adapters.exporting import quantize
from lora_tui.adapters.exporting.base import Base
from lora_tui.adapters.exporting.card import write_card
from lora_tui.adapters.exporting.checking import Verdict, check_gguf, check_merged
from lora_tui.adapters.exporting.deltas import fitting
from lora_tui.adapters.exporting.gguf_files import is_written_here, model_pieces, write_adapter, write_model
from lora_tui.adapters.exporting.merged import merged_bytes, write_merged
from lora_tui.adapters.exporting.work import Work, draft, need_room, refuse_existing, scratch
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.jobs.job import Export


class Made(msgspec.Struct, frozen=True):
    """What an export came to: a path (or a model's name at Ollama), its bytes, how it was checked, what made it."""

    what: str
    output: str
    bytes: int
    type: str
    checked: bool
    verdict: str
    seconds: float = 0.0


def make_merged(work: Work, job: Export, base: Base, adapter: PeftFolder | None) -> Made:
    """A Hugging Face folder with the adapter in the weights."""
    output = Path(job.output)
    refuse_existing(output)
    need_room(merged_bytes(base, job.type), output)
    with draft(output, work.folder) as path:
        path.mkdir()
        work.stage("merge")
        write_merged(path, base, adapter, dtype=job.type, advance=work.advance)
        kind = job.type or full_width(base)
        found = check_merged(work, base, _folder(adapter), path, kind)
        write_card(path, output.name, base.folder, job.base_name, job.adapter_name, found.words)
    size = sum(file.stat().st_size for file in output.iterdir())
    return Made("merged", str(output), size, kind, found.checked, found.words)


def make_gguf(work: Work, job: Export, base: Base, adapter: PeftFolder | None) -> Made:
    """A GGUF of the base with the adapter in it, or of the adapter alone."""
    output = Path(job.output)
    if job.adapter_only:
        assert adapter is not None
        found = make_adapter_file(work, output, base, adapter, job.adapter_name)
        return Made("gguf", str(output), output.stat().st_size, "f32", found.checked, found.words)
    kind = quantize.named(job.type or full_width(base))
    found = make_model_file(work, output, base, adapter, kind, job.adapter_name or job.base_name)
    return Made("gguf", str(output), output.stat().st_size, kind, found.checked, found.words)


def make_model_file(
    work: Work, output: Path, base: Base, adapter: PeftFolder | None, kind: str, name: str, *, check: bool = True
) -> Verdict:
    """Write a model's GGUF of a type, K-quants too, and check it. Raises LoraTuiError."""
    refuse_existing(output)
    here = is_written_here(kind)
    full = kind if here else full_width(base)
    size = sum(piece.bytes for piece in model_pieces(base, full))
    if not here:
        quantize.check_can(kind)
        size += quantize.bytes_of(sum(math.prod(info.shape) for info in base.tensors.values()), kind)
    need_room(size, output)
    with draft(output, work.folder) as path:
        by = ""
        if here:
            work.stage(f"convert to GGUF {kind}")
            write_model(path, base, adapter, kind, name=name, advance=work.advance)
        else:
            with scratch(output.with_name(f"{output.name}-{full}"), work.folder) as whole:
                work.stage(f"convert to GGUF {full}")
                write_model(whole, base, adapter, full, name=name, advance=work.advance)
                work.stage(f"quantise to {kind}")
                by = f"; quantised by {quantize.quantize(work, whole, path, kind)}"
        if not check:
            return Verdict(False, "")
        found = check_gguf(work, base, _folder(adapter), (path, None), kind)
    return Verdict(found.checked, found.words + by)


def make_adapter_file(
    work: Work, output: Path, base: Base, adapter: PeftFolder, name: str, on: Path | None = None, kind: str = ""
) -> Verdict:
    """Write an adapter's GGUF and check it on its base: the GGUF `on` of the type `kind`, else one made for it."""
    refuse_existing(output)
    kind = kind or full_width(base)
    need_room(4 * sum(module.parameters for module in fitting(base, adapter).values()), output)
    with draft(output, work.folder) as path:
        work.stage("convert the adapter to GGUF")
        write_adapter(path, base, adapter, name=name, advance=work.advance)
        if on is not None:
            return check_gguf(work, base, adapter.folder, (on, path), kind)
        with scratch(output.with_name(f"{output.name}-base"), work.folder) as whole:
            need_room(sum(piece.bytes for piece in model_pieces(base, kind)), output)
            work.stage("convert its base to check it")
            write_model(whole, base, None, kind, advance=work.advance)
            return check_gguf(work, base, adapter.folder, (whole, path), kind)


def full_width(base: Base) -> str:
    """The float type that most of a base's weights are stored in: f32, f16 or bf16."""
    sizes: dict[str, int] = {}
    for info in base.tensors.values():
        sizes[info.dtype] = sizes.get(info.dtype, 0) + info.bytes
    most = max(sizes, key=lambda dtype: sizes[dtype])
    return {"BF16": "bf16", "F16": "f16"}.get(most, "f32")


def _folder(adapter: PeftFolder | None) -> Path | None:
    return adapter.folder if adapter is not None else None
