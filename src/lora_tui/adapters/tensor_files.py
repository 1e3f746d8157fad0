"""safetensors files, one tensor at a time: read from a memory map, written in any order into a file of known shape.

Format: 8 bytes (little-endian) with the header's length, a JSON header {name: {dtype, shape, data_offsets}}, the data.
The safetensors library was read for it: its numpy face knows no bfloat16, and it writes only what is whole in memory.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput

Array: TypeAlias = NDArray[np.float32]

_NUMPY: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),  # numpy has none: its bits
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_CHUNK = 1 << 16  # numbers that are rounded together: they stay in a core's cache
_LARGEST_HEADER = 100_000_000  # bytes, the format's own limit


class TensorInfo(msgspec.Struct, frozen=True):
    """One tensor as the header has it; `start` and `end` are bytes from the end of the header."""

    dtype: str  # F32, BF16, …
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]

    @property
    def bytes(self) -> int:
        """How long its data is."""
        return self.data_offsets[1] - self.data_offsets[0]

    @property
    def parameters(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


class TensorFile:
    """One open safetensors file. Use it as a context manager, or `close` it."""

    def __init__(self, path: Path) -> None:
        """Open and check it: every tensor lies inside the file and is as long as its shape. Raises BadInput."""
        self.path = path
        self.metadata: dict[str, str] = {}
        self.tensors: dict[str, TensorInfo] = {}
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is empty"
            raise BadInput(f"cannot read the weights: {reason}", where=str(path), fix=_AGAIN) from error
        try:
            self._data = self._read_header()
        except BadInput:
            self.close()
            raise

    def _read_header(self) -> int:
        size = len(self._map)
        length = struct.unpack("<Q", self._map[:8])[0] if size >= 8 else _LARGEST_HEADER
        if length >= _LARGEST_HEADER or 8 + length > size:
            raise self._broken("its header is cut off")
        try:
            header = msgspec.json.decode(self._map[8 : 8 + length])
            self.metadata = msgspec.convert(header.pop("__metadata__", {}), dict[str, str])
            self.tensors = msgspec.convert(header, dict[str, TensorInfo])
        except (UnicodeDecodeError, msgspec.DecodeError, AttributeError) as error:
            raise self._broken("its header is no list of tensors") from error
        for name, info in self.tensors.items():
            if info.dtype not in _NUMPY:
                raise self._broken(f"{name} has the type {info.dtype}, which is not read here")
            if any(side < 0 for side in info.shape):
                raise self._broken(f"{name} has a shape that cannot be")
            start, end = info.data_offsets
            if not 0 <= start <= end <= size - 8 - length:
                raise self._broken(f"{name} lies beyond its end")
            if end - start != math.prod(info.shape) * _NUMPY[info.dtype].itemsize:
                raise self._broken(f"{name} is not as long as its shape says")
        return 8 + int(length)

    def raw(self, name: str) -> NDArray[Any]:
        """A tensor in its own type without a copy; bfloat16 as its bits in uint16. Raises KeyError."""
        info = self.tensors[name]
        start = self._data + info.data_offsets[0]
        count = math.prod(info.shape)
        return np.frombuffer(self._map, _NUMPY[info.dtype], count, start).reshape(info.shape)

    def read(self, name: str) -> Array:
        """A copy of a tensor in float32. Raises KeyError."""
        raw = self.raw(name)
        return from_bfloat16(raw) if self.tensors[name].dtype == "BF16" else raw.astype(np.float32)

    def release(self) -> None:
        """Give back the memory of what was read; what is read again comes from the file again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Let go of the file; arrays of `raw` that are still in use keep it."""
        try:
            self._map.close()
        except BufferError:
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _broken(self, why: str) -> BadInput:
        return BadInput(f"this is no whole safetensors file: {why}", where=str(self.path), fix=_AGAIN)


class TensorWriter:
    """A safetensors file whose tensors are known by name, type and shape, filled in any order."""

    def __init__(self, file: BinaryIO, tensors: Mapping[str, tuple[str, tuple[int, ...]]], metadata: Mapping[str, str]):
        self._file = file
        self._infos: dict[str, TensorInfo] = {}
        place = 0
        for name, (dtype, shape) in tensors.items():
            end = place + math.prod(shape) * _NUMPY[dtype].itemsize
            self._infos[name] = TensorInfo(dtype, shape, (place, end))
            place = end
        header = msgspec.json.encode({"__metadata__": dict(metadata), **self._infos})
        header += b" " * (-len(header) % 8)
        file.write(struct.pack("<Q", len(header)) + header)
        self._data = 8 + len(header)
        self._missing = set(self._infos)

    def write(self, name: str, values: NDArray[Any]) -> None:
        """Put a tensor where it belongs, as float32 or in the type it has there already."""
        info = self._infos[name]
        if values.shape != info.shape:
            raise ValueError(f"{name} is {values.shape}, not {info.shape}")
        self._file.seek(self._data + info.data_offsets[0])
        self._file.write(np.ascontiguousarray(_stored(values, info.dtype)).data.cast("B") if values.size else b"")
        self._missing.discard(name)

    def finish(self) -> None:
        """Check that nothing was left out."""
        if self._missing:
            raise ValueError(f"never written: {', '.join(sorted(self._missing))}")


@contextmanager
def writing(
    path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...]]], metadata: Mapping[str, str] | None = None
) -> Iterator[TensorWriter]:
    """Fill `path` with tensors {name: (dtype, shape)}; it is there only when all are. Raises LoraTuiError."""
    with atomic.writing(path) as file:
        writer = TensorWriter(file, tensors, metadata or {"format": "pt"})
        yield writer
        writer.finish()


def from_bfloat16(bits: NDArray[np.uint16]) -> Array:
    """float32 values of bfloat16 bits."""
    wide = bits.astype(np.uint32, order="C")
    wide <<= 16
    return wide.view(np.float32)


def to_bfloat16(values: NDArray[Any]) -> NDArray[np.uint16]:
    """The bits of the nearest bfloat16 values, ties to even; not-a-number stays one."""
    exact = np.ascontiguousarray(values, np.float32).reshape(-1)
    found = np.empty(exact.shape, np.uint16)
    for start in range(0, exact.size, _CHUNK):
        part = exact[start : start + _CHUNK]
        bits = part.view(np.uint32)
        rounded = bits >> 16
        rounded &= 1
        rounded += 0x7FFF
        rounded += bits
        rounded >>= 16
        strange = np.isnan(part)
        if strange.any():
            rounded[strange] = 0x7FC0
        found[start : start + _CHUNK] = rounded
    return found.reshape(values.shape)


def _stored(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    if dtype == "BF16" and values.dtype != np.uint16:
        return to_bfloat16(values)
    return values.astype(_NUMPY[dtype], copy=False)


_AGAIN = "Copy or download it again."
