"""What is asked of a run: files in its folder (`stop`, `pause`, `checkpoint`), or SIGTERM. SIGHUP is not a reason."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

from lora_tui.jobs.supervisor import CHECKPOINT, PAUSE, STOP


class Ended(BaseException):
    """A request to stop, where nothing is worth finishing first. No library takes it for an error of its own."""


class Requests:
    """What someone asked this run for. Cheap enough to look at after every step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._signalled = False

    def listen(self) -> None:
        """Take SIGTERM as a request and outlive the terminal's end."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def end_at_once(self) -> None:
        """Take SIGTERM as the end: for work that is begun anew."""
        signal.signal(signal.SIGTERM, _end)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signalled = True

    @property
    def stop(self) -> bool:
        """True from the moment of the request on."""
        return self._signalled or (self._folder / STOP).exists()

    @property
    def pause(self) -> bool:
        """True until it is taken back."""
        return (self._folder / PAUSE).exists()

    def take_checkpoint(self) -> bool:
        """Whether a checkpoint is wanted now; each request counts once."""
        try:
            (self._folder / CHECKPOINT).unlink()
        except FileNotFoundError:
            return False
        return True


def _end(number: int, frame: FrameType | None) -> None:
    raise Ended
