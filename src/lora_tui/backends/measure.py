"""How large a base and a profile's adapters are: counted by the engine once, and remembered in the workspace."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from lora_tui.backends import bases
from lora_tui.backends.counting import Tell, do, unheard
from lora_tui.jobs import measured
from lora_tui.jobs.job import Measure
from lora_tui.jobs.measured import Measured
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

FOLDER = "measured"  # in the workspace
_VERSION = 2  # of what is counted


def ensure(
    workspace: Workspace,
    base: str,
    profile: Profile,
    *,
    progress: Tell = unheard,
    cancelled: Callable[[], bool] = lambda: False,
) -> Measured:
    """The sizes, measured where they are not known yet.

    Raises LoraTuiError when the base has no such modules, or for settings that a run would be refused for.
    """
    known = path(workspace, base, profile)
    if not known.is_file():
        job = Measure(profile=profile, base=base, output=str(known))
        do(workspace, job, f"size of {profile.model.base}", progress, cancelled)
    return measured.load(known)


def remembered(workspace: Workspace, base: str, profile: Profile) -> Measured | None:
    """The sizes where they were measured before."""
    known = path(workspace, base, profile)
    return measured.load(known) if known.is_file() else None


def path(workspace: Workspace, base: str, profile: Profile) -> Path:
    """Where the sizes lie, or will."""
    training = profile.training
    settings = (_VERSION, bases.fingerprint(base), profile.lora, training.optim, training.lr_scheduler_type)
    key = hashlib.sha256(msgspec.json.encode(settings)).hexdigest()[:24]
    return workspace.root / FOLDER / f"{key}.json"
