"""What a key asks of a run, by how the run stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lora_tui.jobs import supervisor
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.screens.monitor.watch import Detail
from lora_tui.workspace.errors import BadInput


def pause(run: Run, detail: Detail | None) -> None:
    """Let a working run wait after its step, and a waiting one go on. Raises BadInput for any other."""
    if detail is not None and (detail.row.state == "paused" or detail.pausing):
        supervisor.unpause(run)
    else:
        supervisor.pause(run)


def resume(run: Run, detail: Detail | None) -> Callable[[], None]:
    """What lets it go on. Raises BadInput for a run that has finished, and for one that cannot be asked."""
    supervisor.may_be_asked(run)
    if detail is not None and detail.row.state == "paused":
        return partial(supervisor.unpause, run)
    if detail is not None and detail.row.state == "finished" and detail.row.kind != "verify":
        raise BadInput("this run has finished", fix="Start a new one under Train.")  # a verification asks what it lacks
    return partial(supervisor.start, run)


def may_be_killed(run: Run, detail: Detail | None) -> None:
    """Raises BadInput where there is no process, or none of this person's."""
    supervisor.may_be_asked(run)
    if detail is None or detail.row.state not in ("running", "paused"):
        raise BadInput("this run is not working", where=run.id)
