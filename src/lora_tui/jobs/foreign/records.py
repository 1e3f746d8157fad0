"""TFRecord files, read as far as they are written: the frame around every event of a TensorBoard file.

A record is its length (8 bytes, little endian), the masked CRC-32C of that, the bytes, and their masked CRC-32C
(tensorflow/core/lib/io/record_writer.h). tensorboard and protobuf would read them too, and are no part of the base
install.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

_HEAD = struct.Struct("<QI")
_MASK = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78  # Castagnoli, reversed
_LONGEST = 4096  # a scalar takes under 200 bytes: longer records hold texts and pictures, and are passed over


def _table() -> tuple[int, ...]:
    rows = []
    for row in range(256):
        for _ in range(8):
            row = row >> 1 ^ (_POLYNOMIAL if row & 1 else 0)
        rows.append(row)
    return tuple(rows)


_TABLE = _table()


def masked_crc(data: bytes) -> int:
    """CRC-32C, rotated and shifted as TFRecord stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


class RecordFile:
    """One file that may still grow. A record whose bytes are damaged is left out; after a damaged length nothing is
    found again, and the file counts as ended there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        self._offset = 0
        self._lost = False

    def read(self) -> Iterator[bytes]:
        """The records completed since the last call."""
        if self._lost:
            return
        try:
            file = self.path.open("rb")
        except OSError:
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            file.seek(self._offset)
            while self._offset + _HEAD.size <= size:
                head = file.read(_HEAD.size)
                length, crc = _HEAD.unpack(head)
                if masked_crc(head[:8]) != crc:
                    self.damaged += 1
                    self._lost = True
                    return
                end = self._offset + _HEAD.size + length + 4
                if end > size:
                    return  # still being written
                self._offset = end
                if length > _LONGEST:
                    file.seek(end)
                    continue
                data, tail = file.read(length), file.read(4)
                if masked_crc(data) == int.from_bytes(tail, "little"):
                    yield data
                else:
                    self.damaged += 1
