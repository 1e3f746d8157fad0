"""Doing a short job in a process of its own and waiting for it, told as it goes, until nobody wants it any more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Job
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

Tell = Callable[[str, int, int], None]  # (stage, done, total); total 0 when it is not known

_POLL_SECONDS = 0.05


class Cancelled(LoraTuiError):
    """Whoever asked does not want it any more."""


def unheard(stage: str, done: int, total: int) -> None:
    """For who does not want to hear how far it is."""


def do(
    workspace: Workspace,
    job: Job,
    title: str,
    progress: Tell = unheard,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Do the job and forget its run folder; what it made lies where the job says.

    Raises Cancelled when `cancelled` says so: the process is ended at once and nothing of it remains. Raises
    LoraTuiError with the job's own words when it fails; its folder then stays, with the whole story.
    """
    run = supervisor.create(workspace, job, title)
    view = RunView(run)
    try:
        supervisor.start(run)
        while True:
            for event in view.refresh():
                if isinstance(event, journal.Progress):
                    progress(event.stage, event.done, event.total)
            if view.state != "running":
                break
            if cancelled():
                raise Cancelled(f"{title}: stopped, nothing of it was kept")
            time.sleep(_POLL_SECONDS)
    except BaseException:
        supervisor.kill(run)
        supervisor.wait(run, 10)
        shutil.rmtree(run.folder, ignore_errors=True)
        raise
    if view.state != "finished":
        word = view.last_word
        if isinstance(word, journal.Failed):
            raise LoraTuiError(word.reason, where=word.where, fix=word.fix)
        if isinstance(word, journal.Stopped):
            shutil.rmtree(run.folder, ignore_errors=True)
            raise LoraTuiError(f"{title}: its process was told to end", fix="Ask again; it begins anew.")
        raise LoraTuiError(view.failure or "the counting ended early", where=str(run.folder / "stderr.log"))
    supervisor.wait(run, 10)
    shutil.rmtree(run.folder, ignore_errors=True)
