"""`python -m lora_tui.backends.together job.toml`: has a run trained by Together, keeps its journal.

Killed and started again, it reads the journal and goes on: what was uploaded or created is not uploaded or created
twice. Told to end (SIGTERM) it leaves the job at work there; asked to stop it cancels it.
"""

from __future__ import annotations

import signal
import sys
import traceback
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from lora_tui.backends.together.client import ServiceError, asking, connected, plain
from lora_tui.backends.together.download import ADAPTER, fetched
from lora_tui.backends.together.recalled import MODEL
from lora_tui.backends.together.status import Status
from lora_tui.backends.together.stay import Stay, StopAsked
from lora_tui.backends.together.submitting import submitted
from lora_tui.backends.together.training_files import validated
from lora_tui.backends.together.watching import Watch
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import load_job
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.keys import hidden


class _Leaving(BaseException):
    """This process is told to end."""


def main(arguments: list[str]) -> int:
    """Exit code 0 when the run finished or stopped on request; 2 for bad input, 1 for another failure."""
    path = Path(arguments[0]).absolute()
    run = Run(folder=path.parent, file=load_job(path))
    supervisor.hold(run.folder)
    log = journal.Journal(run.journal)
    log.keep_room()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    try:
        return _work(run, log)
    except StopAsked:  # with no job at work: it is cancelled, or has ended, or was not made yet
        log.write(journal.Stopped())
        return 0
    except _Leaving:
        reason = "the process here was told to end; a job that is created goes on at Together, and resuming follows it"
        log.write(journal.Stopped(reason=reason))
        return 0
    except LoraTuiError as error:
        fix = " ".join(part for part in (error.fix, f"Nothing is lost: lora-tui runs resume {run.id}") if part)
        log.write(journal.Failed(reason=hidden(error.what), where=hidden(error.where), fix=hidden(fix)))
        return error.exit_code
    except Exception as error:  # a bug: the run must not seem to work on
        sys.stderr.write(hidden(traceback.format_exc()))
        log.write(journal.Failed(reason=hidden(f"this is a bug in lora-tui: {error!r}"), where="stderr.log"))
        return 1
    finally:
        log.close()


def _leave(number: int, frame: FrameType | None) -> None:
    raise _Leaving


def _work(run: Run, log: journal.Journal) -> int:
    stay = Stay(connected(), run, log)
    if not stay.known.job:
        validated(stay)
    job = submitted(stay)
    found = Watch(stay, job).to_the_end()
    if found.status == "completed":
        return _finished(stay, found)
    if found.status == "cancelled":
        log.write(journal.Stopped(step=stay.known.step, reason="" if stay.stop_asked() else "cancelled at Together"))
        return 0
    said = [event.message for event in journal.JournalReader(run.journal).read() if isinstance(event, journal.Warned)]
    about = f": {said[-1]}" if said else ""
    raise LoraTuiError(f"the job {job} ended with an error there{about}", where=run.id)


def _finished(stay: Stay, found: Status) -> int:
    if found.adapter_object_id and found.adapter_object_id != stay.known.model:
        stay.remote(MODEL, found.adapter_object_id)
    fetched(stay, found.id)
    stay.log.write(
        journal.Finished(
            steps=stay.known.step,
            loss=stay.known.loss,
            eval_loss=stay.known.eval_loss,
            seconds=_seconds(stay, found.id),
            output=ADAPTER,
            best_step=found.early_stopping_best_step,
        )
    )
    return 0


def _seconds(stay: Stay, job: str) -> float:
    """From the first to the last of the job's events; 0 where nobody says: the adapter is here all the same."""
    try:
        with asking(f"the events of {job}"):
            listed: list[dict[str, Any]] = plain(stay.client.fine_tuning.list_events(job)).get("data") or []
        times = [datetime.fromisoformat(str(event["created_at"])) for event in listed]
        return max(0.0, (max(times) - min(times)).total_seconds()) if times else 0.0
    except (ValueError, KeyError, TypeError, ServiceError):
        return 0.0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
