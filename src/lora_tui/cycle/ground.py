"""What every step of a cycle works on, and what it says when it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from lora_tui.adapters import aliases, registry
from lora_tui.adapters.registry import Adapter
from lora_tui.backends.counting import Tell, unheard
from lora_tui.dataset import versions
from lora_tui.jobs.job import Cycle
from lora_tui.jobs.journal import CycleStep
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, load_profile

Step = Literal["ingest", "accept", "dataset", "plan", "train", "verify", "promote", "opencode"]
STEPS: tuple[Step, ...] = ("ingest", "accept", "dataset", "plan", "train", "verify", "promote", "opencode")


class Ground(msgspec.Struct, frozen=True):
    """A workspace with what is asked of it. `production` is the version that is compared with; None: the base alone."""

    workspace: Workspace
    job: Cycle
    profile: Profile
    production: Adapter | None
    tell: Tell = unheard
    cancelled: Callable[[], bool] = lambda: False

    @classmethod
    def of(cls, workspace: Workspace, job: Cycle, tell: Tell = unheard) -> Ground:
        """As things are now. Raises BadInput where the profile cannot be used for a cycle."""
        profile = load_profile(workspace, job.profile)
        if not profile.verification.suite:
            raise BadInput(
                "the profile names no suite, so nothing could say whether the new version is better",
                where=f"profile {profile.name}",
                fix="Set verification.suite; `lora-tui suites list` shows what there is.",
            )
        return cls(workspace, job, profile, in_production(workspace, profile.name), tell)

    @property
    def start(self) -> Adapter | None:
        """What the training goes on from."""
        return None if self.job.fresh else self.production

    @property
    def dataset_name(self) -> str:
        """The dataset of which the next version is made."""
        if self.job.dataset:
            return self.job.dataset
        if self.production is not None:
            name, at, _ = self.production.metadata.dataset.partition("@")
            if at:
                return name
        made = [item.manifest for item in versions.versions(self.workspace)]  # newest first
        return next((item.name for item in made if item.profile == self.profile.name), self.profile.name)


def in_production(workspace: Workspace, name: str) -> Adapter | None:
    """The version that an adapter's name means; None where none was promoted. Raises BadInput where it is gone."""
    version = aliases.target(workspace, name, aliases.PRODUCTION)
    return registry.find(workspace, f"{name}@{version}") if version else None


def done(step: Step, *said: str, made: str = "") -> CycleStep:
    """The step did something."""
    return CycleStep(step=step, outcome="done", said=said, made=made)


def nothing(step: Step, *said: str, made: str = "") -> CycleStep:
    """There was nothing to do."""
    return CycleStep(step=step, outcome="nothing", said=said, made=made)


def refused(step: Step, *said: str, made: str = "") -> CycleStep:
    """The cycle must not go on."""
    return CycleStep(step=step, outcome="refused", said=said, made=made)


def many(number: int, noun: str) -> str:
    """A number with its noun: 1 row, 1,200 rows."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
