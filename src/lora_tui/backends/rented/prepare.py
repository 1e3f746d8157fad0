"""What a run on another machine would do, settled before anything is sent, rented or started."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Sequence

import msgspec

from lora_tui.backends import local
from lora_tui.backends.counting import Tell, unheard
from lora_tui.backends.processes import PORT, Processes
from lora_tui.backends.start import Start
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import journal
from lora_tui.jobs.job import Box, Prompt, Train
from lora_tui.workspace import hosts
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile


def check_installed() -> None:
    """Raises BadInput where what speaks SSH is not installed."""
    if importlib.util.find_spec("asyncssh") is None:
        raise BadInput("asyncssh is not installed, which speaks SSH", fix="pip install 'lora-tui[rent]'")


def own_processes(workspace: Workspace, names: Sequence[str], address: str = "") -> Processes:
    """How many processes a run has on these hosts of config.toml; `address`: of the first, as the others reach it.

    Raises BadInput for a name that is not there, and for hosts that differ in their GPUs.
    """
    known = [hosts.find(workspace, name) for name in names]
    counts = {max(1, host.gpus) for host in known}
    if len(counts) > 1:
        told = ", ".join(f"{name} {host.gpus}" for name, host in zip(names, known, strict=True))
        raise BadInput(f"these hosts have different numbers of GPUs: {told}", fix="Set `gpus` of each to the same.")
    if len(known) == 1:
        return Processes(nproc=counts.pop())
    host, _, port = (address or known[0].address).partition(":")
    return Processes(nproc=counts.pop(), nnodes=len(known), address=f"{host}:{port or PORT}")


def prepared(
    workspace: Workspace,
    profile: Profile,
    dataset: Dataset,
    box: Box,
    processes: Processes,
    samples: Sequence[Prompt] = (),
    *,
    start: Start | None = None,
    allow: Collection[str] = (),
    progress: Tell = unheard,
) -> tuple[Train, list[journal.Warned]]:
    """As `local.prepared`, which says what it raises, for the machine that `box` names."""
    check_installed()
    job, warnings = local.prepared(
        workspace,
        profile,
        dataset,
        samples,
        processes=processes,
        start=start,
        allow=allow,
        here=False,
        progress=progress,
    )
    return msgspec.structs.replace(job, elsewhere=box), warnings
