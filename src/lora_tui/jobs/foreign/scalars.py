"""The scalars in TensorBoard's Event messages, read straight from the protobuf wire format.

Fields as in tensorflow/core/util/event.proto and framework/summary.proto: Event.wall_time 1, .step 2, .summary 5;
Summary.value 1; Value.tag 1, .simple_value 2, .tensor 8; TensorProto.dtype 1, .tensor_content 4, .float_val 5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

_FLOAT, _DOUBLE = 1, 2  # TensorProto.dtype
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types


class Scalar(msgspec.Struct, frozen=True):
    """One value of one curve; `time` in epoch seconds."""

    tag: str
    step: int
    time: float
    value: float


def scalars(message: bytes) -> Iterator[Scalar]:
    """The scalars of one Event. A message that is not one gives none."""
    try:
        yield from _scalars(message)
    except (IndexError, struct.error, UnicodeDecodeError, ValueError):
        return


def _scalars(message: bytes) -> list[Scalar]:
    time, step, summaries = 0.0, 0, []
    for number, value in _fields(message):
        match number, value:
            case 1, bytes():
                (time,) = struct.unpack("<d", value)
            case 2, int():
                step = value - (1 << 64) if value >> 63 else value
            case 5, bytes():
                summaries.append(value)
    found: list[Scalar] = []
    for summary in summaries:
        for number, value in _fields(summary):
            if number == 1 and isinstance(value, bytes):
                tag, scalar = _value(value)
                if scalar is not None:
                    found.append(Scalar(tag=tag, step=step, time=time, value=scalar))
    return found


def _value(message: bytes) -> tuple[str, float | None]:
    tag, scalar = "", None
    for number, value in _fields(message):
        match number, value:
            case 1, bytes():
                tag = value.decode()
            case 2, bytes():
                (scalar,) = struct.unpack("<f", value)
            case 8, bytes():
                scalar = _tensor(value)
    return tag, scalar


def _tensor(message: bytes) -> float | None:
    """The one number of a tensor, as TensorFlow 2 writes a scalar."""
    kind, content = 0, b""
    for number, value in _fields(message):
        match number, value:
            case 1, int():
                kind = value
            case ((4 | 5 | 6), bytes()):
                content = value
    if kind == _FLOAT and len(content) == 4:
        return float(struct.unpack("<f", content)[0])
    if kind == _DOUBLE and len(content) == 8:
        return float(struct.unpack("<d", content)[0])
    return None


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a protobuf message: integers for varints, bytes for everything else."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            whole, at = _varint(message, at)
            yield key >> 3, whole
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_EIGHT, _FOUR):
            length = 8 if kind == _EIGHT else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + length > len(message):
            raise IndexError
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a varint without an end")
