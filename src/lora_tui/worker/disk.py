"""Saying plainly that the disk is full, whichever library met it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lora_tui.jobs.journal import FULL
from lora_tui.workspace.errors import LoraTuiError

_WORDS = ("no space left", "disk quota exceeded", "os error 28", "file too large", "os error 27")
_LITTLE = 1 << 20  # bytes


def is_full(error: BaseException, place: Path) -> bool:
    """Whether `error` came of a full disk. torch's archive writer names no cause: then the disk itself is looked at."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in FULL:
            return True
        if any(words in str(seen).lower() for words in _WORDS):
            return True
        seen = seen.__cause__ or seen.__context__
    writing = isinstance(error, RuntimeError) and any(
        word in str(error) for word in ("PytorchStreamWriter", "inline_container")
    )
    return writing or (isinstance(error, OSError | RuntimeError) and _free(place) < _LITTLE)


@contextmanager
def telling_when_full(path: Path) -> Iterator[None]:
    """Turns the errors of a full disk, met while writing `path`, into LoraTuiError."""
    try:
        yield
    except LoraTuiError:
        raise
    except Exception as error:
        if not is_full(error, path.parent):
            raise
        raise LoraTuiError(
            f"the disk is full: {path.name} could not be written",
            where=str(path.parent),
            fix="Free some space, then go on from the checkpoint before it with `lora-tui runs resume`.",
        ) from error


def _free(place: Path) -> int:
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
