"""Doing what was planned, and taking it back, so that a kill at any moment leaves each file as one of the two.

First the record with the files as they were is on the disk, then each file is replaced in one rename. A kill in between
leaves some files changed and some not; `revert` knows both by their hashes, and `apply` goes on from either.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from lora_tui.adapters.wiring import contents, record
from lora_tui.adapters.wiring.plan import Change, Plan
from lora_tui.adapters.wiring.record import Record, Touched, digest
from lora_tui.adapters.wiring.wanted import Wanted
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace


def apply(workspace: Workspace, plan: Plan, wanted: Wanted, adapters: Sequence[str]) -> Record:
    """Write the plan's files; on an error all are put back as they were found. Raises LoraTuiError."""
    with record.lock(workspace):
        _unchanged(plan.changes)
        made = Record(
            number=record.next_number(workspace),
            place=plan.place.name,
            config=str(plan.place.config),
            provider=wanted.provider,
            url=wanted.url,
            adapters=tuple(adapters),
            time=time.time(),
            files=tuple(change.touched for change in plan.changes),
            wanted=wanted,
        )
        record.save(workspace, made, [change.before for change in plan.changes])
        done: list[Change] = []
        try:
            for change in plan.changes:
                done.append(change)
                _put(change.touched, change.after)
        except BaseException:
            for change in reversed(done):
                with contextlib.suppress(LoraTuiError):
                    _put(change.touched, change.current)
            record.forget(workspace, made)
            raise
        record.remove(workspace, made.place, but=made.number)
        return made


def way_back(workspace: Workspace, made: Record, *, force: bool = False) -> list[Change]:
    """What taking a change back would do: the same bytes as before, or a file changed by hand since without our part.

    force: the bytes as before, whatever a person did since. Raises BadInput where our part cannot be told from theirs.
    """
    found = []
    root = record.project_of(made.place)
    is_gone = root is not None and not root.is_dir()
    if is_gone and not force:
        raise BadInput(
            "the project is gone",
            where=str(root),
            fix="Where it was moved to: lora-tui opencode revert --project. To forget what was written: --force.",
        )
    for touched in made.files:
        current = contents.read(Path(touched.target))
        if current is None and is_gone:
            after = None
        elif digest(current) == touched.before:
            after = current
        elif digest(current) in (touched.after, *touched.ours) or force:
            after = record.before(workspace, made, touched)
        else:
            after, others = contents.withdrawn(touched, current)
            if others:
                raise BadInput(
                    f"changed by hand since it was written: {', '.join(others)}",
                    where=touched.path,
                    fix="Change it back, or have the file as it was before (yours is kept aside): --force",
                )
        found.append(Change(touched, current, after, record.before(workspace, made, touched)))
    return found


def by_hand(changes: Sequence[Change]) -> list[str]:
    """The files of a way back that a person changed since."""
    return [
        change.touched.path
        for change in changes
        if (change.current, change.after) != (None, None)
        and digest(change.current) not in (change.touched.before, change.touched.after, *change.touched.ours)
    ]


def revert(workspace: Workspace, made: Record, changes: Sequence[Change]) -> list[Path]:
    """Take a change back as `way_back` planned it; returns where what a person wrote was put aside."""
    with record.lock(workspace):
        _unchanged(changes)
        kept = []
        hand = by_hand(changes)
        for change in changes:
            lost = change.touched.path in hand and change.after == change.before
            if lost and change.current is not None:
                kept.append(record.keep(workspace, Path(change.touched.target), change.current))
            _put(change.touched, change.after)
        record.remove(workspace, made.place)
        return kept


def _unchanged(changes: Sequence[Change]) -> None:
    for change in changes:
        if contents.read(Path(change.touched.target)) != change.current:
            raise LoraTuiError(
                "the file was changed while you looked at the difference", where=change.touched.path, fix="Try again."
            )


def _put(touched: Touched, data: bytes | None) -> None:
    """Make a file's bytes these; without bytes it goes, and so do the empty folders that were made for it."""
    target = Path(touched.target)
    atomic.sweep(target)
    if data is not None:
        if contents.read(target) != data:
            atomic.write_bytes(target, data)
        return
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        raise LoraTuiError(f"cannot remove: {error.strerror}", where=str(target)) from error
    for folder in reversed(touched.folders):
        with contextlib.suppress(OSError):  # somebody put something there
            Path(folder).rmdir()
