"""Being asked to stop: the file `stop` in the run folder, or SIGTERM. SIGHUP is not a reason."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType


class Ended(BaseException):
    """SIGTERM, where nothing is worth finishing first. No library takes it for an error of its own."""


class StopRequest:
    """Whether someone asked this run to stop. Cheap enough to look at after every step."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "stop"
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
    def asked(self) -> bool:
        """True from the moment of the request on."""
        return self._signalled or self._file.exists()


def _end(number: int, frame: FrameType | None) -> None:
    raise Ended
