"""Checkpoints that can be trusted: written aside, hashed, synced, renamed; read back only when every byte is there.

The libraries do neither: Trainer writes into the final folder, and goes on silently with a fresh optimizer where the
old one's state is missing. A folder `checkpoint-N` of a run is whole, or something happened to it later.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

FOLDER = "checkpoints"
MANIFEST = "manifest.json"
_ADAPTER = "adapter_model.safetensors"
_OPTIMIZER = ("optimizer.pt", "optimizer.bin", "optimizer_0")  # the last is a folder: that of FSDP
_NEEDED = ("trainer_state.json", "scheduler.pt")
_NAME = re.compile(r"checkpoint-(\d+)")
_HALF = re.compile(r"\.checkpoint-\d+\.half")


class File(msgspec.Struct, frozen=True):
    """What a file of a checkpoint must be: bytes, and their SHA-256 in hex."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """manifest.json: what a checkpoint is of, and every file in it by its path in the folder.

    `tokens` are the loss-carrying tokens trained on until then; `settings` and `versions` are what a run that goes on
    from it is compared with.
    """

    step: int
    tokens: int
    settings: dict[str, str] = {}
    versions: dict[str, str] = {}
    files: dict[str, File] = {}


class Point(msgspec.Struct, frozen=True):
    """A checkpoint that was found whole."""

    path: Path
    manifest: Manifest

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.manifest.step


class PassedOver(msgspec.Struct, frozen=True):
    """A checkpoint nothing can go on from, and why."""

    path: Path
    reason: str


def path_of(folder: Path, step: int) -> Path:
    """Where a run's checkpoint of this step lies."""
    return folder / FOLDER / f"checkpoint-{step}"


def draft_of(path: Path) -> Path:
    """The folder in which the checkpoint folder `path` is written before it is whole."""
    return path.parent / f".{path.name}.half" / path.name


def seal(path: Path, manifest: Manifest) -> Point:
    """Hash and sync every file of the draft of `path`, write its manifest, and let it appear as `path`.

    What stood there is replaced. Raises OSError; then the draft is still only a draft.
    """
    draft = draft_of(path)
    files: dict[str, File] = {}
    for file in _files(draft):
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
            os.fsync(handle.fileno())
            files[file.relative_to(draft).as_posix()] = File(size=os.fstat(handle.fileno()).st_size, sha256=digest)
    manifest = msgspec.structs.replace(manifest, files=files)
    with (draft / MANIFEST).open("wb") as handle:
        handle.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        handle.flush()
        os.fsync(handle.fileno())
    for inner in [draft, *(item for item in draft.rglob("*") if item.is_dir())]:
        _sync_folder(inner)
    if path.exists():
        shutil.rmtree(path)
    os.rename(draft, path)
    _sync_folder(path.parent)
    draft.parent.rmdir()
    return Point(path=path, manifest=manifest)


def discard_drafts(folder: Path) -> None:
    """Remove what a process that died while saving has left; nobody else may be writing."""
    for path in (folder / FOLDER).glob(".checkpoint-*.half"):
        if _HALF.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def newest(folder: Path) -> tuple[Point | None, list[PassedOver]]:
    """The newest whole checkpoint of a run folder, None when there is none; and the newer ones that are not whole."""
    passed: list[PassedOver] = []
    for path in reversed(_all(folder)):
        found = opened(path)
        if isinstance(found, Point):
            return found, passed
        passed.append(found)
    return None, passed


def opened(path: Path, *, hashes: bool = True) -> Point | PassedOver:
    """The checkpoint at `path` if every file is there as its manifest says; without `hashes` only their sizes count."""
    try:
        manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        return PassedOver(path, "it has no manifest: it was never completed" if path.is_dir() else "it is gone")
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return PassedOver(path, "its manifest cannot be read")
    if (name := _NAME.fullmatch(path.name)) is None or int(name[1]) != manifest.step:
        return PassedOver(path, f"its manifest is that of step {manifest.step}")
    if missing := _missing(manifest.files):
        return PassedOver(path, missing)
    for name_, wanted in manifest.files.items():
        try:
            with (path / name_).open("rb") as handle:
                size = os.fstat(handle.fileno()).st_size
                if size != wanted.size:
                    return PassedOver(path, f"{name_} has {size} bytes where {wanted.size} were written")
                if hashes and hashlib.file_digest(handle, "sha256").hexdigest() != wanted.sha256:
                    return PassedOver(path, f"{name_} is not what was written")
        except FileNotFoundError:
            return PassedOver(path, f"{name_} is missing")
        except OSError as error:
            return PassedOver(path, f"{name_} cannot be read: {error.strerror}")
    return Point(path=path, manifest=manifest)


def prune(folder: Path, keep: int, best: int | None) -> None:
    """Remove all but the `keep` newest checkpoints and that of step `best`; what is not whole counts for none."""
    kept = 0
    for path in reversed(_all(folder)):
        found = opened(path, hashes=False)
        if isinstance(found, Point):
            kept += 1
            if kept <= keep or found.step == best:
                continue
        shutil.rmtree(path, ignore_errors=True)


def _all(folder: Path) -> list[Path]:
    found = [
        (int(name[1]), path) for path in (folder / FOLDER).glob("checkpoint-*") if (name := _NAME.fullmatch(path.name))
    ]
    return [path for _, path in sorted(found)]


def _missing(files: Mapping[str, File]) -> str:
    tops = {name.partition("/")[0] for name in files}
    for name in _NEEDED:
        if name not in tops:
            return f"it was saved without {name}"
    if not any(name in tops for name in _OPTIMIZER):
        return "it was saved without the optimizer's state"
    return (
        ""
        if _ADAPTER in tops or any(name.startswith("pytorch_model_fsdp") for name in tops)
        else (f"it was saved without {_ADAPTER}")
    )


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
