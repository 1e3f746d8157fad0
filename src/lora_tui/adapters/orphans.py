"""A process that is started here ends when who started it does, however that ends. Linux alone can."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)


def ends_with_parent() -> Callable[[], None] | None:
    """For a child's `preexec_fn`: SIGTERM when this process is gone, whose memory nobody else would know of.

    It counts from the thread that starts the child: call both from one that lives on.
    """
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def in_the_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was gone before it could be asked
            os._exit(1)

    return in_the_child
