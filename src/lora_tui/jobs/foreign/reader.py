"""A training that another program runs, read the way a journal is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec

from lora_tui.jobs import journal
from lora_tui.jobs.foreign import trainer_state
from lora_tui.jobs.foreign.tensorboard import PATTERN, TensorBoardFolder
from lora_tui.jobs.foreign.trainer_state import TrainerStates
from lora_tui.jobs.supervisor import State

_DEEPEST = 3  # folders below the one that was named: Trainer's is runs/<date>_<host>
_LOOK_SECONDS = 5.0  # between looks for a newer folder
_SILENT_SECONDS = 300.0  # without a new value, a training is taken for ended, where its steps are not that long
_SILENT_SAVES = 3.0  # times the usual distance, where only checkpoints tell


def event_folder(folder: Path) -> Path | None:
    """The folder at or below this one whose TensorBoard file was written last; None when there is none."""
    newest: tuple[float, Path] | None = None
    pattern = ""
    for _ in range(_DEEPEST + 1):
        for path in folder.glob(pattern + PATTERN):
            try:
                written = (path.stat().st_mtime, path.parent)
            except OSError:
                continue
            newest = max(newest, written) if newest is not None else written
        pattern += "*/"
    return newest[1] if newest is not None else None


def is_training(folder: Path) -> bool:
    """Whether something is there that this reads."""
    return bool(trainer_state.files(folder)) or event_folder(folder) is not None


class Reader:
    """Follows a folder. TensorBoard files tell the steps as they are made; where there are none, the checkpoints'
    trainer_state.json does, as often as one is saved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._states = TrainerStates(folder)
        self._board: TensorBoardFolder | None = None
        self._looked = 0.0
        self._total = 0
        self._step = 0
        self._last_new = 0.0  # epoch seconds of the newest event
        self._times: list[float] = []

    def read(self) -> list[journal.AnyEvent]:
        """The events since the last call, in the order of their times."""
        now = time.time()
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            found = event_folder(self.folder)
            if found is not None and (self._board is None or self._board.folder != found):
                self._board = TensorBoardFolder(found)
        self._states.refresh()
        events = sorted([*self._steps(now), *self._states.checkpoints()], key=lambda event: event.time)
        for event in events:
            self._last_new = max(self._last_new, event.time)
            if isinstance(event, journal.Metrics):
                self._step = event.step
        self._times += sorted(event.time for event in events if isinstance(event, journal.Metrics | journal.Checkpoint))
        del self._times[:-20]
        return events

    def _steps(self, now: float) -> Iterator[journal.AnyEvent]:
        if self._board is None:
            yield from self._states.steps()
            return
        total, known = self._states.total, self._total
        self._total = total
        if total and self._step and total != known:  # the first checkpoint tells how long it is going to be
            yield journal.Started(pid=0, host="", total_steps=total, resumed_from=self._step, time=self._last_new)
        for event in self._board.read(now):
            if isinstance(event, journal.Started):
                yield msgspec.structs.replace(event, total_steps=total)
            else:
                yield event

    def state(self, last: journal.AnyEvent | None) -> State:
        """Finished where its end was logged; else running while something was written of late."""
        if isinstance(last, journal.Finished):
            return "finished"
        newest = max(self._last_new, self._board.written if self._board is not None else 0.0)
        if last is None and not newest:
            return "new"
        gaps = [after - before for before, after in pairwise(self._times)]
        limit = max(_SILENT_SECONDS, _SILENT_SAVES * max(gaps, default=0.0))
        return "running" if time.time() - newest < limit else "stopped"
