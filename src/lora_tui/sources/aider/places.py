"""Where Aider's histories are: in the repositories themselves, so they have to be looked for."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

NAME = ".aider.chat.history.md"
DEPTH = 4  # levels below the home directory
SECONDS = 5.0

_NOT_HERE = frozenset(
    {
        *("node_modules", "vendor", "venv", "site-packages", "target", "build", "dist", "__pycache__"),
        *("Library", "Applications", "Pictures", "Music", "Movies", "Videos", "snap", "go"),
    }
)


def around(folder: Path) -> Iterator[Path]:
    """The histories of this folder and of those above it: Aider writes at the root of the repository."""
    for place in (folder, *folder.parents):
        if (place / NAME).is_file():
            yield place / NAME


class OutOfTime(Exception):
    """The search was stopped; what it found so far came before."""


def below(folder: Path, depth: int = DEPTH, seconds: float = SECONDS) -> Iterator[Path]:
    """Histories in and below a folder, the nearest first; hidden folders and those of packages are not entered.

    Raises OutOfTime at the end after `seconds`: a home directory may lie on a slow disk.
    """
    deadline = time.monotonic() + seconds
    waiting = deque([(folder, 0)])
    while waiting:
        if time.monotonic() > deadline:
            raise OutOfTime
        place, level = waiting.popleft()
        try:
            with os.scandir(place) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in found:
            if entry.name == NAME and entry.is_file():
                yield Path(entry.path)
            elif level < depth and _is_entered(entry):
                waiting.append((Path(entry.path), level + 1))


def _is_entered(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or entry.name in _NOT_HERE:
        return False
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
