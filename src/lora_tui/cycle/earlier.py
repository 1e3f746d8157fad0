"""The cycles before this one: which one goes on, and what was tried already."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from lora_tui.adapters import registry
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
    """The newest cycle of the same job, where it works, was stopped or killed, or failed behind its training.

    Before that a failure has a reason which may lie in what the first steps made: those are done anew. An adapter that
    was made is worth verifying, as long as the profile would still make it.
    """
    newest = next(cycles(workspace, job.profile), None)
    if newest is None or isinstance(newest.last_word, journal.Finished):
        return None
    if supervisor.is_alive(newest.run):
        return newest.run
    if newest.run.file.job != job:
        return None
    failed = isinstance(newest.last_word, journal.Failed)
    return newest.run if not failed or _is_worth_going_on(workspace, newest) else None


def _is_worth_going_on(workspace: Workspace, failed: RunView) -> bool:
    if "promote" in failed.steps_taken:
        return True
    trained = failed.steps_taken.get("train")
    if trained is None or trained.made not in {item.label for item in registry.adapters(workspace)}:
        return False
    assert isinstance(failed.run.file.job, Cycle)
    made = load_job(supervisor.part(failed.run, "train") / "job.toml").job
    wanted = recipe(Ground.of(workspace, failed.run.file.job))
    return isinstance(made, Train) and _comparable(made.profile) == _comparable(wanted)


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
