"""`python -m lora_tui.backends.rented job.toml`: the process here that has a run done on another machine.

All it knows is in the run's journal and on that machine: killed and started again, it goes on where it was.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import traceback
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType

from lora_tui.backends.rented.conduct import ADAPTER, Conductor, newest_step
from lora_tui.backends.rented.machine import Reached, forget_key, own, rented, settled
from lora_tui.backends.rented.to_together import to_together
from lora_tui.backends.renting.lease import StopAsked
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Box, Train, load_job
from lora_tui.jobs.supervisor import CONDUCTED, STOP, Run
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.keys import hidden


def main(arguments: list[str]) -> int:
    """Exit code 0 when the run ended as it should, also by request; 1 for a failure, 2 for bad input."""
    path = Path(arguments[0]).absolute()
    run = Run(folder=path.parent, file=load_job(path))
    supervisor.hold(run.folder)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _asking_to_stop(run.folder / STOP))
    log = journal.Journal(run.journal)
    code = 0
    try:
        word = _done(run, log)
    except StopAsked:
        word = journal.Stopped(step=newest_step(run))
    except LoraTuiError as error:
        word, code = journal.Failed(reason=error.what, where=error.where, fix=error.fix), error.exit_code
    except OSError as error:
        sys.stderr.write(hidden(traceback.format_exc()))
        reason = f"a file here cannot be read or written: {error.strerror or error}"
        fix = "Free some space, or give yourself the right; then lora-tui runs resume goes on."
        word, code = journal.Failed(reason=reason, where=str(error.filename or ""), fix=fix), 1
    except Exception as error:
        sys.stderr.write(hidden(traceback.format_exc()))
        reason = hidden(f"{type(error).__name__}: {error}")
        word, code = journal.Failed(reason=reason, fix=f"The whole story is in {CONDUCTED} of the run."), 1
    log.write(word)
    log.close()
    return code or int(isinstance(word, journal.Failed))


def _done(run: Run, log: journal.Journal) -> journal.AnyEvent:
    job = run.file.job
    assert isinstance(job, Train)
    assert isinstance(job.elsewhere, Box)
    if (run.folder / ADAPTER).is_dir():  # it appears whole or not at all
        settled(run, log, job.elsewhere)
        word: journal.AnyEvent = _finished(run)
    else:
        word = _conducted(run, log, job.elsewhere, job.nnodes)
    if isinstance(word, journal.Finished):
        forget_key(run.folder)
        to_together(run, log)
    return word


def _conducted(run: Run, log: journal.Journal, box: Box, nodes: int) -> journal.AnyEvent:
    with _machines(run, log, box, nodes) as reached:
        return asyncio.run(Conductor(run, log, reached).work())


def _machines(run: Run, log: journal.Journal, box: Box, nodes: int) -> AbstractContextManager[Reached]:
    if box.provider == "host":
        return own(run, log, box)
    return rented(run, log, box, nodes, lambda: (run.folder / STOP).exists())


def _finished(run: Run) -> journal.Finished:
    """The last word of a run whose adapter is here, and that was cut short before it could be said."""
    events = journal.JournalReader(run.journal).read()
    metrics = [event for event in events if isinstance(event, journal.Metrics)]
    evaluations = [event for event in events if isinstance(event, journal.Evaluation)]
    began = next((event.time for event in events if isinstance(event, journal.Started)), 0.0)
    return journal.Finished(
        steps=metrics[-1].step if metrics else 0,
        loss=metrics[-1].loss if metrics else None,
        eval_loss=evaluations[-1].eval_loss if evaluations else None,
        seconds=metrics[-1].time - began if metrics and began else 0.0,
        output=ADAPTER,
    )


def _asking_to_stop(request: Path) -> signal._HANDLER:
    def on_signal(number: int, frame: FrameType | None) -> None:
        request.touch()

    return on_signal


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
