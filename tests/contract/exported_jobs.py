"""Exported jobs for the contract tests: one per tool, on one machine and on several."""

from __future__ import annotations

from pathlib import Path

from lora_tui.backends.compare.gpus import known
from lora_tui.backends.export.exporting import Exported, Tool, export
from lora_tui.backends.export.machines import Machines
from lora_tui.jobs.job import JobFile, Train
from lora_tui.workspace.profiles import Model, Profile


def exported(tool: Tool, folder: Path, nodes: int) -> Exported:
    """A job of which every GPU that is known is asked for."""
    dataset = folder / "dataset"
    dataset.mkdir(parents=True)
    (dataset / "train.jsonl").write_text("{}\n")
    profile = Profile(name="build-rust", model=Model(base="Qwen/Qwen2.5-Coder-7B-Instruct"))
    job = Train(profile=profile, base=profile.model.base, dataset=str(dataset), dataset_name="rust@1")
    file = JobFile(id="build-rust-on-rust-1", title="build-rust on rust@1", created=1.0, workspace="", job=job)
    return export(tool, file, Machines(nodes, 2, 24, known()), folder / "out", env=("HF_TOKEN",), hours=6)
