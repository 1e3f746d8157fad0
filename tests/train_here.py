"""Training without the seconds that a process of its own takes to start: in the test's process, or in a fork of one
that has the engine loaded already, which can be killed."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess

from lora_tui.jobs import journal
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import LoraTuiError


def train_here(run: Run, *, listen: bool = False) -> RunView:
    """Do what the run's process would do; a failure is the journal's last word, as there. `listen`: to signals too."""
    from lora_tui.worker.__main__ import _failure
    from lora_tui.worker.requests import Requests
    from lora_tui.worker.train import train

    assert isinstance(run.file.job, Train)
    log = journal.Journal(run.journal)
    log.write(journal.Starting())
    log.keep_room()
    asked = Requests(run.folder)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    if listen:
        asked.listen()
    try:
        train(run.file.job, run.folder, log, asked)
    except Exception as error:
        with contextlib.suppress(LoraTuiError):
            log.write(_failure(error))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        log.close()
    (run.folder / "lock").touch()  # as one that was started has
    return RunView.of(run)


def train_in_a_fork(run: Run, prepare: Callable[[], None] | None = None) -> BaseProcess:
    """Start `train_here` in a process of its own; `prepare`, a function of a module, is called in it first."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lora_tui.worker.train"])
    process = context.Process(target=_work, args=(run, prepare), daemon=True)
    process.start()
    return process


def _work(run: Run, prepare: Callable[[], None] | None) -> None:
    if prepare is not None:
        prepare()
    train_here(run)
