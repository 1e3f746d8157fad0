"""Writing files and folders so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lora_tui.workspace.errors import LoraTuiError


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: temporary file, fsync, rename. Raises LoraTuiError with the reason."""
    with writing(path) as file:
        file.write(data)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Fill a temporary file that then replaces `path`; on any error `path` stays as it was. Raises LoraTuiError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
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
        Path(name).unlink(missing_ok=True)


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
