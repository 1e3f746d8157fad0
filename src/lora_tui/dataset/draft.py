"""The folder that becomes a dataset version: filled beside its place, numbered and put there whole, or gone.

A version that was being made when its process died lies there as a draft; whoever makes the next one sweeps it away.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lora_tui.workspace.errors import LoraTuiError

_PREFIX = ".draft-"
_LOCK = ".lock"


class Draft:
    """A version in the making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def numbered(self) -> Iterator[int]:
        """The version's number, for what has to be written with it; after that it is in its place for good.

        Two who end at the same time get two numbers: the second waits for the first.
        """
        with _alone(self.folder.parent.parent):
            number = max((int(path.name) for path in self.folder.parent.glob("*") if path.name.isdigit()), default=0)
            yield number + 1
            (self.folder / _LOCK).unlink()
            for file in self.folder.iterdir():
                _on_disk(file)
            _on_disk(self.folder)
            os.rename(self.folder, self.folder.parent / str(number + 1))
            _on_disk(self.folder.parent)


@contextmanager
def draft(parent: Path) -> Iterator[Draft]:
    """A draft in the folder of a dataset's versions; it is gone afterwards unless `numbered` was entered and left.

    Raises LoraTuiError where the place cannot be written or is full.
    """
    try:
        parent.parent.mkdir(parents=True, exist_ok=True)
        with _alone(parent.parent):
            _sweep(parent.parent)
            parent.mkdir(exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            folder.chmod(0o755)
            lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o644)
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield Draft(folder)
        finally:
            with _alone(parent.parent):
                _remove(folder)  # not there any more where it became a version
            os.close(lock)
    except OSError as error:
        raise LoraTuiError(
            f"the version cannot be written: {error.strerror or error}",
            where=str(parent),
            fix="Free some space or see to the folder's permissions, then build again: nothing of it was left behind.",
        ) from error


def _sweep(datasets: Path) -> None:
    """Remove the drafts of processes that are gone: the system lets go of a lock with the process that held it."""
    for folder in datasets.glob(f"*/{_PREFIX}*"):
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR)
        except FileNotFoundError:
            _remove(folder)
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            _remove(folder)
        finally:
            os.close(lock)


def _remove(folder: Path) -> None:
    """A draft, and the name's folder where there is no version in it."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


@contextmanager
def _alone(datasets: Path) -> Iterator[None]:
    """Nobody else begins or ends a version in this workspace meanwhile; both take moments."""
    lock = os.open(datasets / _LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _on_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
