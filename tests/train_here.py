"""Training in the test's own process: the real engine without the seconds that a process of its own takes to start."""

from __future__ import annotations

from lora_tui.jobs import journal
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.worker.__main__ import _failure
from lora_tui.worker.requests import Requests


def train_here(run: Run) -> RunView:
    """Do what the run's process would do; a failure is the journal's last word, as there."""
    from lora_tui.worker.train import train

    assert isinstance(run.file.job, Train)
    log = journal.Journal(run.journal)
    log.write(journal.Starting())
    try:
        train(run.file.job, run.folder, log, Requests(run.folder))
    except Exception as error:
        log.write(_failure(error))
    finally:
        log.close()
    (run.folder / "lock").touch()  # as one that was started has
    return RunView.of(run)
