"""What was written into opencode's settings, kept in the workspace before the first of these files is touched.

opencode/<number>/ has record.json and, of every file, its bytes before (N.before). A settings file may hold keys that
a person wrote there, so only the owner may read these copies, and they go when the change is taken back.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.adapters.wiring.edits import Edit
from lora_tui.adapters.wiring.places import PROJECT, Place
from lora_tui.adapters.wiring.wanted import Wanted
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_FILE = "record.json"
_GONE = ".gone-"
_DRAFT = "draft"


class Touched(msgspec.Struct, frozen=True):
    """One file: `path` as opencode names it, `target` where its bytes lie (another where it is a link)."""

    path: str
    target: str
    kind: Literal["settings", "agent"]
    before: str  # SHA-256; empty: it was not there
    after: str  # SHA-256; empty: it is not there
    ours: tuple[str, ...] = ()  # SHA-256 of what earlier changes that this one takes the place of had written
    edits: tuple[Edit, ...] = ()  # each value that was set; of an agent's file that was there its `model`
    folders: tuple[str, ...] = ()  # made for it, outermost first


class Record(msgspec.Struct, frozen=True):
    """One change of the files of one place. `number` is its folder's name."""

    number: str
    place: str
    config: str
    provider: str
    url: str
    adapters: tuple[str, ...]
    time: float
    files: tuple[Touched, ...]
    wanted: Wanted | None = None  # what was to stand there; None: written by an earlier release

    def of(self, target: Path) -> Touched | None:
        """What it says of a file."""
        return next((one for one in self.files if one.target == str(target)), None)


def digest(data: bytes | None) -> str:
    """SHA-256 in hex; empty for a file that is not there."""
    return "" if data is None else hashlib.sha256(data).hexdigest()


def records(workspace: Workspace) -> list[Record]:
    """Every change that still stands, oldest first."""
    return [_load(path) for path in sorted(_folder(workspace).glob(f"[0-9]*/{_FILE}"))]


def newest(workspace: Workspace, place: str) -> Record | None:
    """The change that stands at a place; it has taken the place of every earlier one."""
    found = [one for one in records(workspace) if one.place == place]
    return found[-1] if found else None


def follow(workspace: Workspace, place: Place) -> None:
    """Let the record of a project whose folder was moved here be this place's. Raises LoraTuiError.

    It is the same project where its old folder is gone and its settings lie here as they were written.
    """
    here = project_of(place.name)
    if here is None or newest(workspace, place.name) is not None:
        return
    for record in records(workspace):
        there = project_of(record.place)
        if there is None or there.exists():
            continue
        moved = msgspec.structs.replace(
            record,
            place=place.name,
            config=_rebased(record.config, there, here),
            files=tuple(_moved(one, there, here) for one in record.files),
        )
        if any(one.kind == "settings" and _is_as_written(one) for one in moved.files):
            path = _folder(workspace) / record.number / _FILE
            atomic.write_bytes(path, msgspec.json.format(msgspec.json.encode(moved), indent=2))
            return


def project_of(place: str) -> Path | None:
    """The root of the project that a place's name names; None of another place."""
    kind, _, root = place.partition(" ")
    return Path(root) if kind == PROJECT else None


def _moved(touched: Touched, there: Path, here: Path) -> Touched:
    return msgspec.structs.replace(
        touched,
        path=_rebased(touched.path, there, here),
        target=_rebased(touched.target, there.parent.resolve() / there.name, here.resolve()),
        folders=tuple(_rebased(one, there.parent.resolve() / there.name, here.resolve()) for one in touched.folders),
    )


def _rebased(path: str, there: Path, here: Path) -> str:
    return str(here / Path(path).relative_to(there)) if Path(path).is_relative_to(there) else path


def _is_as_written(touched: Touched) -> bool:
    try:
        return digest(Path(touched.target).read_bytes()) in (touched.after, *touched.ours)
    except OSError:
        return False


def before(workspace: Workspace, record: Record, touched: Touched) -> bytes | None:
    """A file as it was before; None where there was none. Raises BadInput where the copy is damaged."""
    if not touched.before:
        return None
    path = _folder(workspace) / record.number / f"{record.files.index(touched)}.before"
    data = path.read_bytes() if path.is_file() else b""
    if digest(data) != touched.before:
        raise BadInput("the copy of the file as it was is damaged", where=str(path), fix="Correct the file by hand.")
    return data


def save(workspace: Workspace, record: Record, originals: list[bytes | None]) -> None:
    """Keep a record with the files as they were. It is on the disk when this returns."""
    folder = _folder(workspace)
    with atomic.draft(folder, _DRAFT) as draft:
        draft.chmod(0o700)
        for index, data in enumerate(originals):
            if data is not None:
                _write(draft / f"{index}.before", data)
        _write(draft / _FILE, msgspec.json.format(msgspec.json.encode(record), indent=2))
        atomic.publish(draft, folder / record.number)


def remove(workspace: Workspace, place: str, *, but: str = "") -> None:
    """Forget every record of a place (but one), the oldest first."""
    for record in records(workspace):
        if record.place == place and record.number != but:
            forget(workspace, record)


def forget(workspace: Workspace, record: Record) -> None:
    """Forget one record, with the copies."""
    gone = _folder(workspace) / f"{_GONE}{record.number}"
    os.rename(_folder(workspace) / record.number, gone)
    shutil.rmtree(gone, ignore_errors=True)


def keep(workspace: Workspace, path: Path, data: bytes) -> Path:
    """Put what a person wrote and is now replaced aside; returns where."""
    folder = _folder(workspace) / "replaced"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = folder / f"{digest(data)[:12]}-{path.name}"
    _write(kept, data)
    atomic.sync(kept)
    return kept


def next_number(workspace: Workspace) -> str:
    """The number of the next record."""
    numbers = [int(one.number) for one in records(workspace)]
    return f"{max(numbers, default=0) + 1:06d}"


@contextmanager
def lock(workspace: Workspace) -> Iterator[None]:
    """Only one process changes or takes back at a time. What killed ones left is swept away."""
    folder = _folder(workspace)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        atomic.sweep_drafts(folder, _DRAFT)
        for left in folder.glob(f"{_GONE}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "opencode"


def _load(path: Path) -> Record:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(
            f"the record of what was written into opencode's settings cannot be read: {error}",
            where=str(path),
            fix="The files as they were lie beside it, N.before. Put them back by hand and remove that folder.",
        ) from error


def _write(path: Path, data: bytes) -> None:
    """For the owner's eyes alone."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
