"""An export at work: what it tells its journal, when it is to stop, whether there is room, where its draft lies."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lora_tui.adapters.orphans import ends_with_parent
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.supervisor import STOP
from lora_tui.workspace.errors import BadInput, LoraTuiError

_TELL_SECONDS = 0.2
_LOOK_SECONDS = 0.05
_SPARE = 64 << 20  # bytes beside what is written


class Stopping(Exception):
    """A request to stop; what is half made goes with it."""


class Work:
    """The run of an export: `folder` is its run folder."""

    def __init__(self, folder: Path, log: journal.Journal) -> None:
        self.folder = folder
        self.log = log
        self._told = 0.0
        self._stage = ""

    def stage(self, name: str) -> None:
        """A new part of the work begins."""
        self.look()
        self._stage = name
        self.log.write(journal.Progress(stage=name, done=0))

    def advance(self, done: int, total: int) -> None:
        """`done` of `total` units of the present stage."""
        self.look()
        if done >= total or time.monotonic() - self._told > _TELL_SECONDS:
            self._told = time.monotonic()
            self.log.write(journal.Progress(stage=self._stage, done=done, total=total))

    def note(self, words: str) -> None:
        """Something a person should read."""
        self.log.write(journal.Note(message=words))

    def look(self) -> None:
        """Raises Stopping when it was asked to stop."""
        if (self.folder / STOP).exists():
            raise Stopping

    def run(self, command: Sequence[str], printed: Path) -> int:
        """Do a command, its output going to `printed`, until it ends; a request to stop ends it. Returns its code."""
        with printed.open("ab") as file:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, preexec_fn=ends_with_parent()
            )
        try:
            while (code := process.poll()) is None:
                self.look()
                time.sleep(_LOOK_SECONDS)
            return code
        finally:
            process.kill()
            process.wait()


def need_room(size: int, folder: Path) -> None:
    """Raises LoraTuiError when `size` bytes do not fit beside `folder`, which need not exist yet."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < size + _SPARE:
        raise LoraTuiError(
            f"it needs {size / 1e9:.2f} GB and {free / 1e9:.2f} GB are free",
            where=str(folder),
            fix="Free some space or name another place.",
        )


@contextmanager
def draft(output: Path, run: Path) -> Iterator[Path]:
    """A path beside `output` for a file or a folder to be made, which then becomes `output` in one rename.

    Drafts of runs that no longer work are removed first. Raises BadInput when `output` exists; on any error nothing
    remains.
    """
    refuse_existing(output)
    with scratch(output, run) as path:
        yield path
        for file in [path, *path.rglob("*")]:
            _sync(file)
        refuse_existing(output)
        os.rename(path, output)
        _sync(output.parent)


@contextmanager
def scratch(beside: Path, run: Path) -> Iterator[Path]:
    """A path beside another, for what is needed on the way; it is removed with the block, or by a later run."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    for left in beside.parent.glob(f".{beside.name}.half-*"):
        made_by = run.parent / left.name.rpartition(".half-")[2]
        if made_by == run or not supervisor.is_held(made_by):
            _remove(left)
    path = beside.with_name(f".{beside.name}.half-{run.name}")
    try:
        yield path
    finally:
        _remove(path)


def refuse_existing(output: Path) -> None:
    """Raises BadInput when there is something already."""
    if output.exists() or output.is_symlink():
        raise BadInput("this exists already", where=str(output), fix="Name another place, or remove it first.")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system syncs folders
            os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
