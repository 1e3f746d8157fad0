"""The job that is written: like one that trains here, for machines that nobody knows yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from lora_tui.backends import local
from lora_tui.backends.counting import Tell, unheard
from lora_tui.dataset.model import Dataset
from lora_tui.jobs.job import JobFile, Prompt
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile


def job_file(
    workspace: Workspace,
    profile: Profile,
    dataset: Dataset,
    samples: Sequence[Prompt] = (),
    *,
    allow: Collection[str] = (),
    progress: Tell = unheard,
) -> JobFile:
    """The job with TRL as its engine; the same profile and dataset give the same. The dataset is audited first.

    Raises what `local.prepared` does.
    """
    training = msgspec.structs.replace(profile.training, engine="trl")
    profile = msgspec.structs.replace(profile, training=training)
    job, _ = local.prepared(workspace, profile, dataset, samples, allow=allow, here=False, progress=progress)
    manifest = dataset.manifest
    return JobFile(
        id=f"{profile.name}-on-{manifest.name}-{manifest.version}",
        title=f"{profile.name} on {dataset.label}",
        created=manifest.created,
        workspace="",
        job=job,
    )
