"""A file of JSON lines, read line by line in flat memory; `.zst` files too.

A line that is too long is skipped without being held in memory, and a compressed file that is torn ends where it is.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

LARGEST_LINE = 64 * 1024**2  # bytes; one line with a few pictures has some MB
_PASSED = 1 << 16  # bytes of an even longer one that are passed over at once


class Line(NamedTuple):
    """One line without its end; `problem` says why `text` is not the line (''  if it is)."""

    number: int  # counted from 1
    offset: int  # bytes before it in the (unpacked) file
    text: bytes
    problem: str = ""


def lines(path: Path, largest: int = LARGEST_LINE) -> Iterator[Line]:
    """The lines of a file that are not empty. Raises OSError.

    The last one may be half-written: it comes as it is, and whoever decodes it finds out.
    """
    with closing(_opened(path)) as file:
        number = offset = 0
        while True:
            number += 1
            try:
                text = file.readline(largest + 1)
                if not text:
                    return
                length = len(text)
                problem = ""
                if length > largest and not text.endswith(b"\n"):
                    problem = f"the line is longer than {largest // 1024**2} MiB"
                    text = b""
                    length += _rest(file)
            except _torn() as error:
                yield Line(number, offset, b"", f"the compressed file is damaged from here on: {error}")
                return
            stripped = text.strip()
            if stripped or problem:
                yield Line(number, offset, stripped, problem)
            offset += length


def line_at(file: BinaryIO, offset: int, largest: int = LARGEST_LINE) -> bytes:
    """The line that begins at this offset of a plain file."""
    file.seek(offset)
    return file.readline(largest + 1).strip()


def _rest(file: BinaryIO) -> int:
    """Pass over what is left of a line; returns its length."""
    passed = 0
    while chunk := file.readline(_PASSED):
        passed += len(chunk)
        if chunk.endswith(b"\n"):
            break
    return passed


def _opened(path: Path) -> BinaryIO:
    if path.suffix != ".zst":
        return path.open("rb", buffering=1 << 18)
    import zstandard

    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, zstandard.open(path, "rb")), 1 << 18))


def _torn() -> tuple[type[Exception], ...]:
    """What a damaged compressed file raises; only known where one was opened."""
    import sys

    zstandard = sys.modules.get("zstandard")
    return (zstandard.ZstdError,) if zstandard is not None else ()
