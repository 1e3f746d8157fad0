"""What runs finished: a training run leaves its adapter in its run folder, and everyone who looks takes it in.

So it does not matter who was watching when the run ended.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lora_tui.adapters import tombstones
from lora_tui.adapters.metadata import Metadata
from lora_tui.adapters.publishing import add
from lora_tui.adapters.stored import Adapter, registered
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Train, load_job
from lora_tui.jobs.journal import Finished
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace


def register_finished(workspace: Workspace, failed: dict[str, str] | None = None) -> list[Adapter]:
    """Register the adapter of every finished training run that is not registered yet; of a sweep, the best one's.

    One that was removed stays so. failed: gets the runs of which that could not be done, and why.
    """
    known = {item.metadata.run for item in registered(workspace)}
    known |= {item.run for item in tombstones.tombstones(workspace)}
    fresh = []
    for run in reversed(supervisor.runs(workspace)):
        job = run.file.job
        if isinstance(job, Train) and run.id not in known and (run.folder / "adapter").is_dir():
            if job.sweep and not _won(workspace, run, job):
                continue
            view = RunView.of(run)
            if isinstance(view.last_word, Finished):
                try:
                    fresh.append(_register(workspace, run, view.last_word, view))
                except LoraTuiError as error:
                    if failed is not None and run.id not in {item.metadata.run for item in registered(workspace)}:
                        failed[run.id] = error.what  # else another process registered it meanwhile
    return fresh


def _won(workspace: Workspace, run: Run, job: Train) -> bool:
    """Whether the run is the best of its sweep, which has finished; the others stay in their run folders."""
    path = workspace.runs / job.sweep / "job.toml"
    if not path.is_file():
        return True  # a sweep that was removed decides nothing
    word = RunView.of(Run(folder=path.parent, file=load_job(path))).last_word
    return isinstance(word, Finished) and word.output == run.id


def _register(workspace: Workspace, run: Run, finished: Finished, view: RunView) -> Adapter:
    job = run.file.job
    assert isinstance(job, Train)
    before, after = (view.general[0], view.general[-1]) if view.general else (None, None)
    metadata = Metadata(
        name=job.profile.name,
        base=job.base,
        profile=job.profile.name,
        dataset=job.dataset_name or job.dataset,
        dataset_hash=job.dataset_hash,
        run=run.id,
        steps=finished.steps,
        r=job.profile.lora.r,
        lora_alpha=job.profile.lora.lora_alpha,
        loss=finished.loss,
        eval_loss=finished.eval_loss,
        seconds=finished.seconds,
        lora=job.profile.lora,
        parents=(job.start_name or job.start_from,) if job.start_from else (),
        new_rows_only=bool(job.known),
        general_loss_before=before.loss if before else None,
        general_loss=after.loss if after else None,
        general_kl=after.kl if after else None,
        tags=tuple(job.profile.data.languages),
    )

    def fill(draft: Path) -> None:
        shutil.copytree(run.folder / "adapter", draft, dirs_exist_ok=True)

    return add(workspace, metadata, fill)
