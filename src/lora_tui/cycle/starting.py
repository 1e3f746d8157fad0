"""Starting a cycle, or going on with one that was cut short."""

from __future__ import annotations

import fcntl
from pathlib import Path

from lora_tui.cycle.earlier import unfinished
from lora_tui.cycle.ground import Ground
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Cycle
from lora_tui.jobs.supervisor import Run
from lora_tui.sources.discover import source_of
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_LOCK = ".cycle.lock"


def begin(workspace: Workspace, job: Cycle) -> tuple[Run, bool]:
    """Start the cycle in a process of its own; True where it goes on with one that was cut short.

    Raises BadInput where a cycle of the profile works already, and for what it cannot be done with.
    """
    workspace.ensure()
    with (workspace.runs / _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two who start at the same time: the second finds the first at work
        return _begun(workspace, job)


def _begun(workspace: Workspace, job: Cycle) -> tuple[Run, bool]:
    going = unfinished(workspace, job)
    if going is not None and supervisor.is_alive(going):
        raise BadInput(
            f"a cycle of {job.profile} works already", where=going.id, fix=f"Watch it: lora-tui runs follow {going.id}"
        )
    if going is not None:
        supervisor.start(going)
        return going, True
    Ground.of(workspace, job)
    for path in job.paths:
        source_of(Path(path))
    run = supervisor.create(workspace, job, f"cycle of {job.profile}")
    supervisor.start(run)
    return run, False
