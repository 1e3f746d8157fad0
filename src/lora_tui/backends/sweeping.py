"""`python -m lora_tui.backends.sweeping job.toml`: the process that does the runs of a sweep, one after another.

What is done is read from the runs' own journals: killed and started again, it goes on where it was.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType

from lora_tui.backends import trials
from lora_tui.backends.trials import Outcome
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Sweep, Trial, load_job
from lora_tui.jobs.supervisor import PAUSE, STOP, Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import LoraTuiError

_LOOK_SECONDS = 0.2


def main(arguments: list[str]) -> int:
    """Exit code 0 when the sweep ended as it should, also on request; 1 where no run of it finished."""
    path = Path(arguments[0]).absolute()
    sweep = Run(folder=path.parent, file=load_job(path))
    log = journal.Journal(sweep.journal)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _asking_to_stop(sweep.folder / STOP))
    try:
        return _sweep(sweep, log)
    except LoraTuiError as error:
        log.write(journal.Failed(reason=error.what, where=error.where, fix=error.fix))
        return error.exit_code
    finally:
        log.close()


def _asking_to_stop(request: Path) -> signal._HANDLER:
    def on_signal(number: int, frame: FrameType | None) -> None:
        request.touch()

    return on_signal


def _sweep(sweep: Run, log: journal.Journal) -> int:
    job = sweep.file.job
    assert isinstance(job, Sweep)
    log.write(journal.Started(pid=os.getpid(), host=socket.gethostname(), total_steps=len(job.trials)))
    began = time.monotonic()
    for number, trial in enumerate(job.trials, start=1):
        log.write(journal.Progress(stage=", ".join(trial.settings), done=number - 1, total=len(job.trials)))
        try:
            ended = _ended(sweep, number, trial, log)
        except LoraTuiError as error:  # its folder is gone, or its disk full: the others can still be done
            log.write(journal.Tried(run=trial.run, state="failed", reason=error.what))
            continue
        log.write(
            journal.Tried(
                run=trial.run,
                state=ended.state,
                eval_loss=ended.eval_loss,
                pass_rate=ended.pass_rate,
                reason=ended.reason,
            )
        )
        if (sweep.folder / STOP).exists():
            log.write(journal.Stopped(step=number))
            return 0
    found = trials.outcomes(sweep)
    winner = trials.best(job.by, found)
    if winner is None:
        log.write(
            journal.Failed(
                reason=f"none of the {len(job.trials)} runs has {'an' if job.by == 'eval_loss' else 'a'} "
                f"{job.by.replace('_', ' ')} to compare",
                fix=f"See what they say: lora-tui sweep show {sweep.id}.",
            )
        )
        return 1
    log.write(
        journal.Finished(
            steps=len(job.trials), eval_loss=winner.eval_loss, seconds=time.monotonic() - began, output=winner.run
        )
    )
    return 0


def _ended(sweep: Run, number: int, trial: Trial, log: journal.Journal) -> Outcome:
    """The trial when its run has ended. One that is finished stays so; one that works already is waited for."""
    run = trials.run_of(sweep, trial)
    view = RunView.of(run)
    paused = supervisor.is_alive(run)  # by an earlier process of the sweep, if at all
    if view.state != "finished" and not paused and not (sweep.folder / STOP).exists():
        supervisor.start(run)
    waits = False
    while supervisor.is_alive(run):
        paused = pass_on(sweep, run, paused)
        view.refresh()
        if view.paused != waits:  # the sweep waits where its run does: whoever asked it to looks at its own journal
            waits = view.paused
            log.write(journal.Paused(step=number) if waits else journal.Continued(step=number))
        time.sleep(_LOOK_SECONDS)
    view.refresh()
    if waits:
        log.write(journal.Continued(step=number))
    return trials.outcome(number, trial, view)


def pass_on(sweep: Run, run: Run, paused: bool) -> bool:
    """What is asked of the sweep is asked of the run that works; a pause of that run is one of the sweep's too.

    `paused`: whether both waited until now; returns whether they do. Whichever changed is heard, the sweep first.
    """
    if (sweep.folder / STOP).exists():
        (run.folder / STOP).touch()
    for asked, other in ((sweep, run), (run, sweep)):
        wanted = (asked.folder / PAUSE).exists()
        if wanted and not paused:
            (other.folder / PAUSE).touch()
        elif paused and not wanted:
            (other.folder / PAUSE).unlink(missing_ok=True)
        if wanted != paused:
            return wanted
    return paused


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
