"""Writing files and folders so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

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
            os.fchmod(handle, path.stat().st_mode & 0o777)
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
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    draft.chmod(0o755)
    try:
        yield draft
        for file in draft.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        try:
            os.rename(draft, path)
        except OSError as error:  # a folder with content is there: somebody was quicker
            raise LoraTuiError(
                "this version exists already", where=str(path), fix="Versions are immutable: make a new one."
            ) from error
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
