"""Runs that lie elsewhere and are watched from here: another workspace's, another user's, another program's.

attached.toml remembers the paths alone. What is there is looked at anew each time, and nothing is ever written there.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.jobs import supervisor
from lora_tui.jobs.foreign.reader import is_training
from lora_tui.jobs.job import Foreign, JobFile, load_job
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

FILE = "attached.toml"
Kind = Literal["run", "workspace", "foreign", "missing"]


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One remembered path; `since` in epoch seconds is when it was attached, which a foreign training's age is."""

    path: str
    since: float


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    place: tuple[Place, ...] = ()


def places(workspace: Workspace) -> tuple[Place, ...]:
    """What is remembered, in the order it was attached. Raises BadInput where the file is damaged."""
    path = workspace.root / FILE
    return toml.load(path, _File).place if path.is_file() else ()


def kind(path: Path) -> Kind:
    """What lies at a path. Raises BadInput where it may not be looked at."""
    try:
        if (path / "job.toml").is_file():
            return "run"
        if any((path / "runs").glob("*/job.toml")):
            return "workspace"
        return "foreign" if is_training(path) else "missing"
    except PermissionError as error:
        raise BadInput(f"you may not read this: {error.strerror}", where=str(error.filename or path)) from error


def attach(workspace: Workspace, given: Path, now: float) -> list[Run]:
    """Remember a path; returns the runs there. Raises BadInput where there is nothing to watch."""
    path = _folder(given)
    if not path.exists():
        raise BadInput("there is no such path", where=str(given))
    found = kind(path)
    if found == "missing":
        raise BadInput(
            "nothing here can be watched",
            where=str(given),
            fix="Give a run folder, a workspace, or a folder with trainer_state.json, checkpoint-N/ or tfevents files.",
        )
    inside = path == workspace.root or workspace.root in path.parents
    if found != "foreign" and inside:
        raise BadInput("this workspace's own runs are listed already", where=str(given), fix="See `runs list`.")
    place = Place(path=str(path), since=now)
    runs = list(_runs(place))
    if not runs:  # a job.toml that cannot be read says why
        load_job(path / "job.toml")
    known = places(workspace)
    if str(path) not in (item.path for item in known):
        _write(workspace, (*known, place))
    return runs


def forget(workspace: Workspace, given: Path) -> None:
    """Attach it no longer; what lies there stays. Raises BadInput where it was not attached."""
    names = {str(_folder(given)), str(given)}
    known = places(workspace)
    kept = tuple(item for item in known if item.path not in names)
    if len(kept) == len(known):
        all_of_them = ", ".join(item.path for item in known) or "none"
        raise BadInput("this is not attached", where=str(given), fix=f"Attached: {all_of_them}.")
    _write(workspace, kept)


def runs(workspace: Workspace) -> list[Run]:
    """The workspace's own runs and those attached, newest first; a path that is gone gives none."""
    own = supervisor.runs(workspace)
    known = {run.id for run in own}
    for place in places(workspace):
        for run in _runs(place):
            if run.id not in known:
                known.add(run.id)
                own.append(run)
    return sorted(own, key=lambda run: run.file.created, reverse=True)


def find(workspace: Workspace, name: str) -> Run:
    """The run with this id, a unique beginning of one, or 'latest' of the workspace's own. Raises BadInput."""
    if name == "latest":
        return supervisor.find(workspace, name)
    return supervisor.pick(runs(workspace), name)


def elsewhere(workspace: Workspace) -> Iterator[Run]:
    """Those attached alone."""
    for place in places(workspace):
        yield from _runs(place)


def _runs(place: Place) -> Iterator[Run]:
    path = Path(place.path)
    try:
        found = kind(path)
    except BadInput:  # it may no longer be read
        return
    if found == "foreign":
        yield _foreign(path, place.since)
    elif found == "run":
        yield from _read([path / "job.toml"])
    elif found == "workspace":
        yield from _read(sorted((path / "runs").glob("*/job.toml"), reverse=True))


def _read(files: list[Path]) -> Iterator[Run]:
    for file in files:
        try:
            yield Run(folder=file.parent, file=load_job(file))
        except LoraTuiError:
            continue


def _foreign(path: Path, since: float) -> Run:
    """A foreign training as a run; its id is made of its path, so that it stays the same."""
    word = re.sub(r"[^a-z0-9]+", "-", path.name.lower()).strip("-")[:24] or "training"
    identity = f"foreign-{word}-{hashlib.sha256(str(path).encode()).hexdigest()[:4]}"
    job = Foreign(path=str(path))
    return Run(folder=path, file=JobFile(id=identity, title=path.name, created=since, workspace="", job=job))


def _folder(given: Path) -> Path:
    """The folder meant by a path: of a trainer_state.json or an event file, its own; of a checkpoint, its Trainer's."""
    path = Path(os.path.expanduser(given)).absolute()
    path = path.resolve() if path.exists() else path
    if path.is_file():
        path = path.parent
    beside = (path / "trainer_state.json").is_file() and re.fullmatch(r"checkpoint-\d+", path.name)
    return path.parent if beside else path


def _write(workspace: Workspace, known: tuple[Place, ...]) -> None:
    workspace.ensure()
    atomic.write_text(workspace.root / FILE, toml.dump(_File(known)))
