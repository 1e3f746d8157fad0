"""The bundle of a job: everything its worker needs on another machine, each file with its SHA-256.

On the machine's folder it lies as
    store/<kind>-<digest>/…      a dataset, a base, an adapter, chat files, lora-tui's wheel: once for all jobs
    jobs/<run>/job.toml          the job, with paths relative to its folder
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from lora_tui.backends.rented import wheel
from lora_tui.jobs.job import JobFile, Train
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput

_STORE = "store"
_ABOVE = "../.."  # from a job's folder to the machine's


class Piece(msgspec.Struct, frozen=True):
    """One file of a bundle: its path in the machine's folder, and either its bytes or where it lies here."""

    path: str
    size: int
    sha256: str
    file: Path | None = None
    data: bytes = b""


class Bundle(msgspec.Struct, frozen=True):
    """A job's pieces; `folder`, `wheel`: where the job and the wheel lie in the machine's folder."""

    folder: str
    wheel: str
    pieces: tuple[Piece, ...]


def job_folder(run: str, rank: int = 0) -> str:
    """Where a run's job lies in the machine's folder; machines may share one file system, so each has a folder."""
    return f"jobs/{run}.{rank}" if rank else f"jobs/{run}"


def bundle(file: JobFile, rank: int = 0) -> Bundle:
    """The bundle of a training run for its machine number `rank`. Raises BadInput where something it names is gone."""
    job = file.job
    assert isinstance(job, Train)
    pieces: list[Piece] = []

    def stored(kind: str, path: str) -> str:
        """Take a file or folder into the store; its path as the job's folder sees it."""
        if not path:
            return ""
        inside, found = _stored(kind, Path(path))
        pieces.extend(found)
        return f"{_ABOVE}/{inside}"

    moved = msgspec.structs.replace(
        job,
        base=stored("base", job.base) if Path(job.base).is_dir() else job.base,
        dataset=stored("dataset", job.dataset),
        start_from=stored("adapter", job.start_from),
        general=stored("chats", job.general),
        replay=stored("chats", job.replay),
        elsewhere=None,
        python="",
        sweep="",
        planned_bytes=0,
    )
    text = toml.dump(msgspec.structs.replace(file, workspace="", job=moved)).encode()
    folder = job_folder(file.id, rank)
    pieces.append(_of_bytes(f"{folder}/job.toml", text))
    made = wheel.build()
    place = f"{_STORE}/wheel-{hashlib.sha256(made).hexdigest()[:16]}/{wheel.name()}"
    pieces.append(_of_bytes(place, made))
    return Bundle(folder=folder, wheel=place, pieces=tuple(pieces))


def _of_bytes(path: str, data: bytes) -> Piece:
    return Piece(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), data=data)


def _stored(kind: str, source: Path) -> tuple[str, list[Piece]]:
    """A file's or a folder's place in the store, which its content decides, and its pieces. Hidden files stay here."""
    if source.is_dir():
        paths = {path.relative_to(source): path for path in sorted(source.rglob("*")) if path.is_file()}
        paths = {inside: path for inside, path in paths.items() if not any(part[0] == "." for part in inside.parts)}
    elif source.is_file():
        paths = {Path(source.name): source}
    else:
        raise BadInput(f"the {kind} of this run is gone", where=str(source))
    found: list[tuple[str, int, str, Path]] = []
    whole = hashlib.sha256()
    for inside, path in paths.items():
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{inside.as_posix()}\0{digest}\n".encode())
        found.append((inside.as_posix(), path.stat().st_size, digest, path))
    folder = f"{_STORE}/{kind}-{whole.hexdigest()[:16]}"
    pieces = [Piece(f"{folder}/{inside}", size, digest, file=path) for inside, size, digest, path in found]
    return folder if source.is_dir() else f"{folder}/{source.name}", pieces
