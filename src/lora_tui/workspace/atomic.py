"""Writing files and folders so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lora_tui.workspace.errors import LoraTuiError


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: temporary file, fsync, rename. Raises LoraTuiError with the reason."""
    with writing(path) as file:
        file.write(data)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Fill a temporary file that then replaces `path`; on any error `path` stays as it was. Raises LoraTuiError.

    It may be read by whom the umask lets, or by whom the file that it replaces was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        name = path.with_name(f"{_prefix(path)}{secrets.token_hex(4)}")
        handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
        with suppress(OSError):  # no locks in this file system: then `sweep` has none either
            fcntl.flock(handle, fcntl.LOCK_EX)  # the system lets go of it with the process
        with suppress(FileNotFoundError):
            replaced = path.stat()
            if (replaced.st_uid, replaced.st_gid) != (os.geteuid(), os.getegid()):
                with suppress(PermissionError):  # root may: a person's file stays that person's
                    os.fchown(handle, replaced.st_uid, replaced.st_gid)
            os.fchmod(handle, replaced.st_mode & 0o777)
    except OSError as error:
        raise _cannot(error, path) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        raise _cannot(error, path) from error
    finally:
        name.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Remove what processes that were killed while they wrote `path` left beside it."""
    with suppress(OSError):
        for left in [one for one in path.parent.iterdir() if one.name.startswith(_prefix(path))]:
            with suppress(OSError), left.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    return f".{path.name}.half-"


def _cannot(error: OSError, path: Path) -> LoraTuiError:
    return LoraTuiError(
        f"cannot write: {error.strerror}", where=str(path), fix="Free some space or choose another folder."
    )


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for UTF-8 text."""
    write_bytes(path, text.encode())


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a temporary folder beside `path`, which then becomes `path` in one rename.

    Raises LoraTuiError when `path` exists already: versions are immutable. On any error nothing remains.
    """
    with draft(path.parent, path.name) as folder:
        yield folder
        publish(folder, path)


@contextmanager
def draft(parent: Path, name: str) -> Iterator[Path]:
    """A temporary folder in `parent`, gone at the end unless it was published; `sweep_drafts` knows it is in use."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_draft_prefix(name), dir=parent))
    folder.chmod(0o755)
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # no locks in this file system
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        if folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def publish(folder: Path, path: Path) -> None:
    """Make a draft the folder `path`: all of it is on the disk, then it is renamed. Raises LoraTuiError."""
    for file in [*folder.rglob("*"), folder]:
        if file.is_file() or file.is_dir():
            sync(file)
    try:
        os.rename(folder, path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise _cannot(error, path) from error
        # a folder with content is there: somebody was quicker
        raise LoraTuiError(
            "this version exists already", where=str(path), fix="Versions are immutable: make a new one."
        ) from error
    sync(path.parent)


def sweep_drafts(parent: Path, name: str) -> None:
    """Remove the drafts of `name` that killed processes left in `parent`."""
    with suppress(OSError):
        for left in [one for one in parent.iterdir() if one.name.startswith(_draft_prefix(name))]:
            with suppress(OSError):
                lock = os.open(left, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left, ignore_errors=True)
                finally:
                    os.close(lock)


def sync(path: Path) -> None:
    """Have a file's content, or a folder's list of names, on the disk. Raises LoraTuiError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _cannot(error, path) from error
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without fsync of folders
            raise _cannot(error, path) from error
    finally:
        os.close(handle)


def _draft_prefix(name: str) -> str:
    return f".{name}."
