"""The rows of a chat file, streamed: one per line (JSONL) or one per element (a JSON array), gzipped or not."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from lora_tui.workspace.errors import SourceError

LONGEST = 64 * 1024**2  # bytes of one row; a longer one is left out
_CHUNK = 1024**2
_BLANK = b" \t\r\n"


class Row(msgspec.Struct, frozen=True):
    """One row as it stands there; `problem` says why it cannot be read at all."""

    kind: str  # 'line' or 'row': what `number` counts, from 1
    number: int
    data: bytes | msgspec.Raw = b""
    problem: str = ""


def rows(path: Path) -> Iterator[Row]:
    """Every row of a file that is not blank. Memory: one row. Raises SourceError, and OSError."""
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        file = cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if packed else plain
        last = Row("line", 0)
        try:
            head = _begin(file, path)
            for last in _elements(file) if head == b"[" else _lines(file):
                yield last
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield Row(last.kind, last.number + 1, problem=f"the gzip file is damaged from here on: {error}")


def _begin(file: BinaryIO, path: Path) -> bytes:
    """Go behind a byte order mark; returns the first byte that is not blank, which is not read yet."""
    head = file.read(4)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or (len(head) == 4 and b"\0" in head[:4]):
        raise SourceError(
            "this is no UTF-8 text (UTF-16, or a binary file)",
            where=str(path),
            fix="Save it as UTF-8: iconv -f UTF-16 -t UTF-8 OLD > NEW",
        )
    start = 3 if head.startswith(codecs.BOM_UTF8) else 0
    file.seek(start)
    while (byte := file.read(1)) and byte in _BLANK:
        pass
    file.seek(start)
    return byte


def _lines(file: BinaryIO) -> Iterator[Row]:
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            while line and not line.endswith(b"\n"):
                line = file.readline(LONGEST)
            yield Row("line", number, problem=f"longer than {LONGEST // 1024**2} MiB")
        elif line.strip(_BLANK):
            yield Row("line", number, line)


def _elements(file: BinaryIO) -> Iterator[Row]:
    """The elements of an array. Behind a damaged one nothing can be told apart: the rest is one row with a problem."""
    text = _Text(file)
    text.skip("[")
    number = 0
    while text.peek() not in ("", "]"):
        number += 1
        try:
            yield Row("row", number, text.element())
        except ValueError as error:
            yield Row("row", number, problem=f"not JSON from here to the end of the file: {error}")
            return
        if text.peek() == ",":
            text.skip(",")
        elif text.peek() != "]":
            break
    if text.peek() != "]":
        yield Row("row", number + 1, problem="the array is cut off, or damaged from here on")


class _Text:
    """A file's text, read as far as it is needed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode  # rows keep their very bytes
        self._json = json.JSONDecoder()
        self._text = ""
        self._at = 0

    def peek(self) -> str:
        """The next character that is not blank; '' at the end."""
        while True:
            rest = self._text[self._at : self._at + 1]
            if not rest:
                if not self._more(_CHUNK):
                    return ""
            elif rest.isspace():
                self._at += 1
            else:
                return rest

    def skip(self, character: str) -> None:
        """Go behind this character, which `peek` has seen or would see."""
        if self.peek() == character:
            self._at += 1

    def element(self) -> bytes:
        """The next JSON value. Raises ValueError when there is none, and for one that is too long."""
        size = _CHUNK
        while True:
            try:
                _, end = self._json.raw_decode(self._text, self._at)
                if end < len(self._text):  # else a number may go on
                    found = self._text[self._at : end]
                    self._at = end
                    return found.encode("utf-8", "surrogateescape")
            except RecursionError:
                raise ValueError("nested too deeply") from None
            except ValueError as error:
                if len(self._text) - self._at > LONGEST or not self._more(size):
                    raise ValueError(getattr(error, "msg", str(error))) from None
            else:
                if not self._more(size):
                    raise ValueError("the array is cut off")
            size *= 2  # so that a long element is parsed a few times, not once per chunk

    def _more(self, size: int) -> bool:
        data = self._file.read(size)
        self._text = self._text[self._at :] + self._decode(data, final=not data)
        self._at = 0
        return bool(data)
