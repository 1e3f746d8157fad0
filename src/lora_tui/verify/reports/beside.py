"""Files of lines beside a report that only grow: votes, notes, what a judge said."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

_T = TypeVar("_T")


def path_of(workspace: Workspace, report_id: str, name: str) -> Path:
    """Where a report's file of this name lies. Raises BadInput where there is no such report."""
    folder = workspace.reports / report_id
    if not report_id or not (folder / "report.json").is_file():
        raise BadInput(f"there is no report {report_id!r}", fix="See `lora-tui reports list`.")
    return folder / name


def append(path: Path, line: msgspec.Struct) -> None:
    """Add one line; it is on the disk when this returns. Raises LoraTuiError with the reason where it cannot be.

    Raises BadInput for what is no text: a terminal of another encoding passes on bytes that are none.

    One write, so that two writers never mix. What a crash or a full disk cut short stays a line of its own, which
    `read` passes over.
    """
    try:
        data = msgspec.json.encode(line) + b"\n"
    except UnicodeEncodeError as error:
        raise BadInput("this cannot be written down: it is not in UTF-8", fix="Set your terminal to UTF-8.") from error
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b", 0) as file:
            if _ends_in_half_a_line(file.fileno()):
                data = b"\n" + data
            written = file.write(data)
            os.fsync(file.fileno())
    except OSError as error:
        raise LoraTuiError(f"cannot write: {error.strerror}", where=str(path), fix="Free some space.") from error
    if written != len(data):
        raise LoraTuiError("the disk is full", where=str(path), fix="Free some space, then do it again.")


def read(path: Path, type: type[_T]) -> list[_T]:
    """The lines of this type (or union of types), in the order they were written; none without a file."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LoraTuiError(f"cannot be read: {error.strerror}", where=str(path)) from error
    decoder = msgspec.json.Decoder(type)
    found = []
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found.append(decoder.decode(line))
    return found


def _ends_in_half_a_line(handle: int) -> bool:
    size = os.fstat(handle).st_size
    return size > 0 and os.pread(handle, 1, size - 1) != b"\n"
