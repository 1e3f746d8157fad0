"""Rows that wait on disk, in the order they came, until it is known which of them are in."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import msgspec

from lora_tui.dataset.model import Row

FILE = ".rows"

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Row)


class Spool:
    """A file of rows in the draft's folder; a row's place is where its line begins."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._file = self._path.open("w+b")
        self._end = 0
        self._writing = True

    def put(self, row: Row) -> int:
        """Add a row; returns its place."""
        place = self._end
        if not self._writing:
            self._file.seek(place)
            self._writing = True
        self._end += self._file.write(_encoder.encode(row) + b"\n")
        return place

    def line(self, place: int, copy: int = 0) -> bytes:
        """A row's line as a split file has it; of a repetition, that one's."""
        self._writing = False
        self._file.seek(place)
        line = self._file.readline()
        if copy:
            return _encoder.encode(msgspec.structs.replace(_decoder.decode(line), copy=copy)) + b"\n"
        return line

    def row(self, place: int) -> Row:
        """The row at a place."""
        return _decoder.decode(self.line(place))

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._file.close()
        finally:
            self._path.unlink(missing_ok=True)
