"""A run's stay at Together: the client, the run and its journal, and what the journal says already."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from lora_tui.backends.counting import Tell, unheard
from lora_tui.backends.together.client import PEER
from lora_tui.backends.together.recalled import JOB, TRAINING_FILE, VALIDATION_FILE, recalled
from lora_tui.jobs import journal
from lora_tui.jobs.job import Together as Asked
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import STOP, Run

if TYPE_CHECKING:
    from together import Together

POLL = "LORA_TUI_POLL_SECONDS"  # seconds between two looks, whatever the job's length
_LOOK_SECONDS = 0.2  # for what is asked of the run while it waits
_TELL_SECONDS = 1.0  # between two lines of progress
_LEAST, _MOST = 5.0, 60.0  # seconds between two looks at a job
_SHARE = 60.0  # a job is looked at so many times in its life so far


class StopAsked(Exception):
    """Somebody asked the run to stop."""


class Stay:
    """What every step works with. Steps write what they did into the journal and keep `known` in step with it."""

    def __init__(self, client: Together, run: Run, log: journal.Journal, tell: Tell = unheard) -> None:
        job = run.file.job
        assert isinstance(job, Train)
        assert isinstance(job.elsewhere, Asked)
        self.client = client
        self.run = run
        self.job = job
        self.asked = job.elsewhere
        self.log = log
        self.known = recalled(run.journal)
        self._tell = tell
        self._told = 0.0
        self._stage = ""

    def remote(self, kind: str, identity: str, *, gone: bool = False) -> None:
        """Something of the run lies there under this id, or no longer."""
        self.log.write(journal.Remote(peer=PEER, kind=kind, id=identity, gone=gone))
        if kind in (TRAINING_FILE, VALIDATION_FILE):
            if gone:
                self.known.files.pop(kind, None)
            else:
                self.known.files[kind] = identity
        elif kind == JOB and not gone and identity not in self.known.jobs:
            self.known.take_job(identity)

    def progress(self, stage: str, done: int, total: int) -> None:
        """How far a stage is; said when it begins, when it ends, and once a second."""
        self._tell(stage, done, total)
        now = time.monotonic()
        if stage == self._stage and now - self._told < _TELL_SECONDS and (not total or done < total):
            return
        self._stage, self._told = stage, now
        self.log.write(journal.Progress(stage=stage, done=done, total=total))

    def stop_asked(self) -> bool:
        """Whether the run is asked to stop."""
        return (self.run.folder / STOP).exists()

    def refuse_to_stay(self) -> None:
        """Raises StopAsked when the run is asked to stop: between two pieces of what can be gone on with."""
        if self.stop_asked():
            raise StopAsked

    def wait(self, seconds: float, *, until_stop: bool = True) -> None:
        """Let so many seconds pass. Raises StopAsked when the run is asked to stop, unless that does not matter."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if until_stop:
                self.refuse_to_stay()
            time.sleep(min(left, _LOOK_SECONDS))


def pause(age: float) -> float:
    """Seconds to the next look at something that has gone on for `age` seconds: a long job is looked at less often."""
    given = os.environ.get(POLL, "")
    try:
        return max(0.0, float(given))
    except ValueError:
        return min(max(_LEAST, age / _SHARE), _MOST)
