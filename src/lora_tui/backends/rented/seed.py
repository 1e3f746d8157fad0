"""What a machine that never had this run needs so that the run goes on there: its story, logs and checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from lora_tui.backends.rented.bundle import Piece, job_folder
from lora_tui.backends.rented.follow import JOURNAL, LOGS, as_there
from lora_tui.backends.rented.keeper import BESIDE, checkpoints_here
from lora_tui.jobs.supervisor import Run


def seed(run: Run, rank: int, *, journal: bool, checkpoints: bool) -> list[Piece]:
    """Further pieces of the run's bundle for its machine number `rank`.

    journal: what was mirrored of its journal and logs, so that lines and bytes keep their numbers.
    checkpoints: those that are here, with what is read beside them.
    """
    folder = job_folder(run.id, rank)
    pieces = []
    if journal:
        if said := as_there(run):
            pieces.append(_piece(f"{folder}/{JOURNAL}", said))
        for name in LOGS:
            path = run.folder / name
            if path.is_file() and path.stat().st_size:
                pieces.append(_piece(f"{folder}/{name}", path.read_bytes()))
    if checkpoints:
        for file in _kept(run):
            with file.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
            inside = file.relative_to(run.folder).as_posix()
            pieces.append(Piece(f"{folder}/{inside}", file.stat().st_size, digest, file=file))
    return pieces


def _kept(run: Run) -> Iterator[Path]:
    for place in [*checkpoints_here(run), *(run.folder / name for name in BESIDE)]:
        yield from [place] if place.is_file() else (path for path in sorted(place.rglob("*")) if path.is_file())


def _piece(path: str, data: bytes) -> Piece:
    return Piece(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), data=data)
