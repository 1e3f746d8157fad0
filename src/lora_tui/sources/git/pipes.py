"""Room between us and git: with the usual 64 KiB, git waits for us to read most of the time."""

from __future__ import annotations

import contextlib
import fcntl
from typing import IO

_ROOM = 1 << 20  # bytes; what Linux allows everybody


def widen(stream: IO[bytes]) -> None:
    """Have the pipe hold more, so that git works ahead on another core; where that is not possible, leave it."""
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: not Linux
        fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _ROOM)
