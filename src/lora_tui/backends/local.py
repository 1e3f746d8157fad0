"""The local backend: a training run on this machine, as a process of its own."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.backends import bases
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile


def train(workspace: Workspace, profile: Profile, dataset: Dataset, samples: Sequence[str] = ()) -> Run:
    """Start fine-tuning and return at once; the run goes on by itself.

    samples: prompts that the model answers at every evaluation, so that one can see it learn.
    """
    job = Train(
        profile=profile,
        base=bases.resolve(workspace, profile),
        dataset=str(dataset.folder),
        dataset_name=dataset.label,
        dataset_hash=dataset.manifest.hash,
        samples=tuple(samples),
    )
    run = supervisor.create(workspace, job, f"{profile.name} on {dataset.label}")
    supervisor.start(run)
    return run
