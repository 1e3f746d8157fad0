"""What starting a run does off the event loop, and what a person has to name before it may."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lora_tui.backends import audits, local
from lora_tui.backends.compare.way import Way
from lora_tui.backends.counting import Tell
from lora_tui.dataset.model import Dataset
from lora_tui.jobs.audit import ERRORS, Audited, Finding
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.screens.train import elsewhere, going_on, where
from lora_tui.tui.screens.train.elsewhere import Ready, Wish
from lora_tui.tui.screens.train.going_on import Onwards
from lora_tui.verify.suites.suite import sample_prompts
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

_ALL = "Press s again and type every name that stands before a colon, or repair the dataset: F3, enter, f."


def here(
    workspace: Workspace,
    profile: Profile,
    dataset: Dataset,
    way: Way | None,
    onwards: Onwards | None,
    allow: Sequence[str],
) -> Run:
    """Start it on this machine, with the engine of `way`."""
    if way is not None:
        training = msgspec.structs.replace(profile.training, engine=way.engine)
        profile = msgspec.structs.replace(profile, training=training)
    prompts = sample_prompts(workspace, profile)
    start = going_on.start(workspace, onwards, dataset)
    return local.train(workspace, profile, dataset, prompts, start=start, allow=allow)


def ready(
    workspace: Workspace,
    profile: Profile,
    dataset: Dataset,
    way: Way,
    onwards: Onwards | None,
    allow: Sequence[str],
    presets: Sequence[str],
    tell: Tell,
) -> Ready:
    """Prepare it for another place, as the profile is there."""
    start = going_on.start(workspace, onwards, dataset)
    theirs = where.profile_for(workspace, way, profile.name, presets)
    return elsewhere.ready(workspace, Wish(way, theirs, dataset, tuple(allow), start), tell)


def question(errors: Sequence[Finding]) -> str:
    """What the audit found, and what to type to train in spite of it."""
    found = "\n".join(f"{item.code}: {item.message}" for item in errors)
    each = "each name" if len(errors) > 1 else "the name"
    return f"{found}\n\nTo train in spite of it, type {each} that stands before a colon."


def allowed(dataset: Dataset, audited: Audited, text: str) -> tuple[str, ...]:
    """The errors that were typed. Raises BadInput for a name that is none, and where one is left."""
    named = tuple(text.replace(",", " ").split())
    left = [item.code for item in audited.errors if item.code not in named]
    if left and set(named) <= set(ERRORS):
        raise BadInput(f"not named: {', '.join(left)}", where=dataset.label, fix=_ALL)
    audits.check_allowed(dataset, audited, named)
    return named
