"""The fourth and fifth step: what the training would take, and the training, from production with replay."""

from __future__ import annotations

import shutil

from lora_tui.adapters import registry
from lora_tui.adapters.lineage import start_of
from lora_tui.adapters.registry import Adapter
from lora_tui.backends import bases, local, plan_words
from lora_tui.backends.plan import plan
from lora_tui.backends.start import Start, check_fits
from lora_tui.cycle.ground import Ground, done, refused
from lora_tui.cycle.recipe import from_where, recipe
from lora_tui.dataset import versions
from lora_tui.jobs.journal import CycleStep
from lora_tui.jobs.supervisor import Run
from lora_tui.verify.suites.suite import sample_prompts


def look_ahead(ground: Ground, dataset: str) -> CycleStep:
    """Audit, measure and estimate. Refused where it needs more memory than there is, and where the audit says no.

    Raises LoraTuiError as a plan does.
    """
    profile, found = recipe(ground), versions.find(ground.workspace, dataset)
    if (begun := start(ground, dataset)) is not None:
        check_fits(profile, bases.resolve(ground.workspace, profile), begun)
    made = plan(ground.workspace, profile, found, lambda line: ground.tell(line, 0, 0), ground.cancelled)
    words = [*plan_words.counts(made), *plan_words.memory(made), *plan_words.time_and_price(made, "`lora-tui plan`")]
    said = [f"{item.name}: {item.text}" for item in words if item.name and item.name != "cost"]
    said += [item.text for item in plan_words.notes(made)]
    said += [f"{item.severity} {item.code}: {item.message}" for item in made.findings if item.severity != "note"]
    if made.memory_needed > made.memory_available:
        return refused("plan", *said, f"it does not fit: `lora-tui plan {ground.job.profile} --fit` says what would")
    if any(item.severity == "error" for item in made.findings):
        return refused(
            "plan", *said, f"the audit found what should not be trained on: `lora-tui dataset audit {dataset}`"
        )
    return done("plan", from_where(ground), *said)


def prepared(ground: Ground, dataset: str, identity: str) -> Run:
    """The training run of this name, created and not started. Raises BadInput as `local.prepared` does."""
    profile, found = recipe(ground), versions.find(ground.workspace, dataset)
    job, warnings = local.prepared(
        ground.workspace,
        profile,
        found,
        sample_prompts(ground.workspace, profile),
        start=start(ground, dataset),
        progress=ground.tell,
        cancelled=ground.cancelled,
    )
    shutil.rmtree(ground.workspace.runs / identity, ignore_errors=True)  # half made, by a process that was killed
    return local.created(ground.workspace, job, warnings, identity=identity)


def start(ground: Ground, dataset: str) -> Start | None:
    """The version it goes on from."""
    if ground.start is None:
        return None
    found = versions.find(ground.workspace, dataset)
    return start_of(ground.workspace, ground.start.label, found, new_only=ground.profile.cycle.new_rows_only)


def made_by(ground: Ground, identity: str) -> Adapter | None:
    """The registered adapter of a finished run."""
    return next((one for one in registry.adapters(ground.workspace) if one.metadata.run == identity), None)
