"""One real step of a run, taken once on this machine for a base, a dataset and settings, and remembered."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from lora_tui.backends import bases
from lora_tui.backends.chat_file import chat_file
from lora_tui.backends.counting import Tell, do, unheard
from lora_tui.backends.deciding import deciding
from lora_tui.backends.lacking import QUANT, missing
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import probed
from lora_tui.jobs.job import Probe
from lora_tui.jobs.probed import Probed
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

FOLDER = "probed"  # in the workspace
_VERSION = 2  # of what a step holds; a later engine probes anew


def remembered(workspace: Workspace, base: str, profile: Profile, dataset: Dataset) -> Probed | None:
    """What was measured earlier with these settings, on this machine."""
    try:
        return probed.load(path(workspace, base, profile, dataset))
    except LoraTuiError:
        return None


def take(
    workspace: Workspace,
    base: str,
    profile: Profile,
    dataset: Dataset,
    *,
    progress: Tell = unheard,
    cancelled: Callable[[], bool] = lambda: False,
) -> Probed:
    """Take the step now, in a process of its own, and remember it.

    Raises LoraTuiError with what broke it (a step that does not fit, say), Cancelled when `cancelled` says so.
    """
    if lacking := missing(profile):
        raise BadInput(lacking, where=f"profile {profile.name}", fix=QUANT)
    output = path(workspace, base, profile, dataset)
    general, replay = (chat_file(workspace, key, profile) for key in ("general", "replay_file"))
    job = Probe(
        profile=profile,
        base=base,
        dataset=str(dataset.folder),
        output=str(output),
        general=general,
        replay=replay,
    )
    do(workspace, job, f"one step of {profile.name}", progress, cancelled)
    return probed.load(output)


def path(workspace: Workspace, base: str, profile: Profile, dataset: Dataset) -> Path:
    """Where it lies, or will: by all that decides what a step takes, and the machine."""
    known = (_VERSION, bases.fingerprint(base), dataset.manifest.hash, deciding(profile), socket.gethostname())
    return workspace.root / FOLDER / f"{hashlib.sha256(msgspec.json.encode(known)).hexdigest()[:24]}.json"
