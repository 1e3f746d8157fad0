"""A folder of TensorBoard event files, followed while it grows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lora_tui.jobs import journal
from lora_tui.jobs.foreign.logged import Told, name_of
from lora_tui.jobs.foreign.records import RecordFile
from lora_tui.jobs.foreign.scalars import scalars

PATTERN = "*tfevents*"
_WHOLE_AFTER = 2.0  # seconds after the last write, from which on nothing more is expected of a step's values


class TensorBoardFolder:
    """Every event file of one folder, in the order of their names, which begin with when they were opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0.0  # epoch seconds of the last write that was seen
        self._files: dict[Path, RecordFile] = {}
        self._told = Told()
        self._started = False
        self._step = -1
        self._time = 0.0
        self._values: dict[str, float] = {}

    @property
    def damaged(self) -> int:
        """Records that could not be read."""
        return sum(file.damaged for file in self._files.values())

    def read(self, now: float) -> Iterator[journal.AnyEvent]:
        """What is new; the last step's values wait until they are whole."""
        for path in sorted(self.folder.glob(PATTERN)):
            with contextlib.suppress(OSError):
                self.written = max(self.written, path.stat().st_mtime)
            file = self._files.setdefault(path, RecordFile(path))
            for record in file.read():
                for scalar in scalars(record):
                    if scalar.step < self._step:  # a later attempt goes on from an earlier step
                        yield from self._flush()
                        yield journal.Started(pid=0, host="", resumed_from=max(0, scalar.step - 1), time=scalar.time)
                    elif scalar.step > self._step:
                        yield from self._flush()
                    if not self._started:
                        self._started = True
                        yield journal.Started(pid=0, host="", time=scalar.time)
                    if not self._values:
                        self._step, self._time = scalar.step, scalar.time
                    self._values[name_of(scalar.tag)] = scalar.value
        if now - self.written > _WHOLE_AFTER:
            yield from self._flush()

    def _flush(self) -> Iterator[journal.AnyEvent]:
        values, self._values = self._values, {}
        if values:
            yield from self._told.events(self._step, self._time, values)
