"""What there is to read: every known agent's history on this machine, and which agent a path belongs to."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from lora_tui.sources.registry import SOURCES, KeptNowhere, Preview, Previewing, Store, source
from lora_tui.sources.unread import Unread
from lora_tui.workspace.errors import BadInput, SourceError


class Place(msgspec.Struct, frozen=True):
    """A history that could be read."""

    source: str
    where: str
    sessions: int | None  # None: known only once it is read
    size: int  # bytes

    @property
    def shown(self) -> str:
        """Where it is, with `~` for the home directory."""
        path = Path(self.where)
        return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else self.where

    @property
    def amount(self) -> str:
        """The size as people say it."""
        return f"{self.size / 1e6:,.1f} MB" if self.size >= 100_000 else f"{self.size / 1e3:,.1f} kB"


class Missing(msgspec.Struct, frozen=True):
    """A source without a history here."""

    source: str
    what: str


class Discovery(msgspec.Struct, frozen=True):
    """What every source says about this machine."""

    found: list[Place]
    missing: list[Missing]

    @property
    def names(self) -> list[str]:
        """The sources that have something, each once."""
        return list(dict.fromkeys(place.source for place in self.found))


def discover() -> Discovery:
    """Look where each agent keeps its history. No history is opened."""
    found: list[Place] = []
    missing: list[Missing] = []
    for name in SOURCES:
        try:
            stores = source(name).stores(())
        except KeptNowhere:
            continue
        except SourceError as error:
            missing.append(Missing(name, error.what))
        except OSError as error:
            missing.append(Missing(name, f"cannot be looked for: {error}"))
        else:
            found += [_place(name, store) for store in stores if not isinstance(store, Unread)]
            missing += [
                Missing(name, f"{store.error.what} ({store.where})") for store in stores if isinstance(store, Unread)
            ]
    return Discovery(found, missing)


def source_of(path: Path) -> str:
    """The name of the source that can read what lies at `path`. Raises BadInput when none can."""
    if path.is_file() or path.is_dir():
        for name in SOURCES:
            try:
                stores = source(name).stores([path])
                if not stores:
                    continue
                with stores[0].reading():  # some look only now at what it is
                    return name
            except (SourceError, OSError):
                continue
    if not path.exists():
        raise BadInput("there is no such file or folder", where=str(path), fix="Check the path.")
    raise BadInput(
        "no source can read this",
        where=str(path),
        fix=f"Name its source to hear why: lora-tui ingest {'|'.join(SOURCES)} PATH.",
    )


def _place(name: str, store: Store) -> Place:
    preview = store.preview() if isinstance(store, Previewing) else Preview(None, _size(Path(store.where)))
    return Place(name, store.where, preview.sessions, preview.size)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    try:
        if not path.is_dir():
            return path.stat().st_size
    except OSError:
        return 0
    total = 0
    for place, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_size
            except OSError:
                continue
    return total
