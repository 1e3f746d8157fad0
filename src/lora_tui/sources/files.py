"""Session files from outside: what they are named, how large they are, whether they changed. None is opened here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from lora_tui.sources.registry import Preview


class State(msgspec.Struct, frozen=True):
    """A file's size in bytes and its time of change in nanoseconds; both 0 when there is no such file."""

    size: int = 0
    changed: int = 0


def state(path: Path) -> State:
    """Look at a file."""
    try:
        found = path.stat()
    except OSError:
        return State()
    return State(found.st_size, found.st_mtime_ns)


def fingerprint(reader: int, *states: State) -> str:
    """A name for this state of these files; `reader` is raised when the same files would be read differently.

    The number before the colon is the rank that sources.ingest compares copies by: all copies of a file are equals.
    """
    seen = repr((reader, [(one.size, one.changed) for one in states]))
    return f"1:{hashlib.blake2b(seen.encode(), digest_size=8).hexdigest()}"


def below(
    folder: Path,
    endings: tuple[str, ...],
    leave_out: frozenset[str] = frozenset(),
    denied: list[OSError] | None = None,
) -> Iterator[Path]:
    """Files below a folder whose names end so, in a fixed order; folders named in `leave_out` are not entered.

    What is no file goes unseen (reading a named pipe would wait for ever). `denied` receives what cannot be entered.
    """
    for place, folders, names in os.walk(folder, onerror=denied.append if denied is not None else None):
        folders[:] = sorted(name for name in folders if name not in leave_out)
        for name in sorted(names):
            if name.endswith(endings) and os.path.isfile(path := os.path.join(place, name)):
                yield Path(path)


def once(paths: Iterable[Path]) -> list[Path]:
    """Without repetitions, also under another name of the same file."""
    found: dict[str, Path] = {}
    for path in paths:
        found.setdefault(os.path.realpath(path), path)  # Path.resolve raises RuntimeError where links go in circles
    return list(found.values())


def preview(paths: Iterable[Path]) -> Preview:
    """One session a file."""
    sizes = [state(path).size for path in paths]
    return Preview(len(sizes), sum(sizes))
