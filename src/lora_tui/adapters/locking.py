"""One writer at a time: numbers, aliases and removals of a workspace's adapters are decided under one lock."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace


@contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Wait for the registry's lock and hold it; the system lets go of it with the process. Raises LoraTuiError."""
    path = workspace.adapters / ".lock"
    try:
        workspace.adapters.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise LoraTuiError(f"cannot write: {error.strerror}", where=str(path)) from error
    try:
        with suppress(OSError):  # no locks in this file system
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
