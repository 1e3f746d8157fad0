"""The cycles before this one: which one goes on, and what was tried already."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from lora_tui.backends import bases
from lora_tui.cycle.ground import Ground
from lora_tui.cycle.recipe import recipe
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Cycle, Train, load_job
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

PROMOTED, REFUSED, NOTHING = "promoted", "not promoted", "nothing new"  # how a cycle ends: `output` of its Finished


def cycles(workspace: Workspace, profile: str) -> Iterator[RunView]:
    """Those of a profile, newest first."""
    for run in supervisor.runs(workspace):
        if isinstance(run.file.job, Cycle) and run.file.job.profile == profile:
            yield RunView.of(run)


def unfinished(workspace: Workspace, job: Cycle) -> Run | None:
    """The newest cycle of the same job, where it works, was stopped or was killed; one that failed is not gone on with.

    A failure has a reason, which may lie in what its first steps made: those are done anew.
    """
    newest = next(cycles(workspace, job.profile), None)
    if newest is None or isinstance(newest.last_word, journal.Finished | journal.Failed):
        return None
    return newest.run if newest.run.file.job == job or supervisor.is_alive(newest.run) else None


def tried(ground: Ground, dataset: str) -> RunView | None:
    """The cycle that trained on this dataset from the same start with the same profile.

    Its version was not promoted, or somebody went back since: else the start would be another.
    """
    start = ground.start.label if ground.start is not None else ""
    wanted, base = _comparable(recipe(ground)), bases.resolve(ground.workspace, ground.profile)
    for view in cycles(ground.workspace, ground.job.profile):
        word = view.last_word
        if not isinstance(word, journal.Finished) or word.output == NOTHING:
            continue
        try:
            job = load_job(supervisor.part(view.run, "train") / "job.toml").job
        except LoraTuiError:
            continue
        if not isinstance(job, Train) or (job.dataset_name, job.start_name) != (dataset, start):
            continue
        if job.base == base and _comparable(job.profile) == wanted:
            return view
    return None


def was_promoted(view: RunView) -> bool:
    """Whether a cycle promoted what it made."""
    return isinstance(view.last_word, journal.Finished) and view.last_word.output == PROMOTED


def _comparable(profile: Profile) -> Profile:
    """Without what decides nothing about the adapter: the engine is chosen anew by what is installed."""
    training = msgspec.structs.replace(profile.training, engine="trl")
    return msgspec.structs.replace(profile, training=training, description="")
