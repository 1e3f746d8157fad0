"""An adapter out of an archive: .tar, .tar.gz, .tar.zst (as Together's downloads are) or .zip.

Only plain files that may belong to an adapter are written: no links, no pickles, and no archive that names a path
outside itself or is larger inside than an adapter can be.
"""

from __future__ import annotations

import gzip
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, cast

import msgspec

from lora_tui.workspace.errors import BadInput, LoraTuiError

KEPT = (".json", ".safetensors", ".jinja", ".md", ".txt", ".model", ".toml")  # endings of what belongs to an adapter
_PACKED = 50  # times its size that an archive may hold; weights are hardly smaller when packed, text a tenth
_LEAST = 1 << 28  # bytes that any archive may hold
_MOST_FILES = 10_000
_ZSTD, _GZIP, _ZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"PK\x03\x04"


def unpack(archive: Path, folder: Path) -> list[str]:
    """Put what may belong to an adapter into `folder`, at the archive's own paths; returns the names left out.

    Raises BadInput, LoraTuiError.
    """
    import zstandard

    left: list[str] = []
    try:
        with ExitStack() as stack:
            rest = max(_LEAST, _PACKED * archive.stat().st_size)
            for number, member in enumerate(_members(archive, stack, rest)):
                rest -= member.size
                if rest < 0 or number >= _MOST_FILES:
                    raise _too_large(archive)
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name:
                    raise BadInput(f"the archive names a path outside itself, {member.name!r}", where=str(archive))
                if path.suffix not in KEPT and path.name != "SHA256SUMS":
                    left.append(member.name)
                    continue
                target = folder.joinpath(*path.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with member.open() as data, target.open("wb") as file:
                    shutil.copyfileobj(data, file, 1 << 20)
    except _broken(zstandard.ZstdError) as error:
        raise BadInput(
            f"the archive is damaged: {error}", where=str(archive), fix="Copy or download it again."
        ) from error
    except OSError as error:
        raise LoraTuiError(
            f"cannot unpack: {error.strerror or error}", where=str(archive), fix="Free some space, or copy it again."
        ) from error
    return left


def _too_large(archive: Path) -> BadInput:
    return BadInput(
        "there is far more in this archive than an adapter has",
        where=str(archive),
        fix="Unpack it yourself, and name the adapter's folder.",
    )


def _broken(zstd: type[Exception]) -> tuple[type[Exception], ...]:
    read = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)
    return (*read, zstd, RuntimeError, NotImplementedError)  # the last two: an encrypted or odd zip


class _Member(msgspec.Struct, frozen=True):
    """One plain file of an archive; size in bytes as the archive has it, which is the most that is read."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def _members(archive: Path, stack: ExitStack, most: int) -> Iterator[_Member]:
    """Every plain file, in order. most: bytes that a tar may have, packed out, with what is no file in it."""
    file = stack.enter_context(archive.open("rb"))
    magic = file.read(4)
    file.seek(0)
    if magic == _ZIP:
        yield from _of_zip(stack.enter_context(zipfile.ZipFile(file)))
        return
    stream: IO[bytes] = file
    if magic == _ZSTD:
        import zstandard

        stream = stack.enter_context(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
    elif magic[:2] == _GZIP:
        stream = cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=file)))
    bounded = cast(IO[bytes], _Bounded(stream, 2 * most, partial(_too_large, archive)))
    with tarfile.open(fileobj=bounded, mode="r|") as tar:
        for member in tar:
            if member.isfile() and not member.issparse():
                source = tar.extractfile(member)
                assert source is not None
                yield _Member(member.name, member.size, partial(_as_it_is, source))


class _Bounded:
    """A stream that ends in an error: a tar's own long names and what is skipped in it count too."""

    def __init__(self, stream: IO[bytes], most: int, error: Callable[[], BadInput]) -> None:
        self._stream = stream
        self._rest = most
        self._error = error

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._rest -= len(data)
        if self._rest < 0:
            raise self._error()
        return data


def _of_zip(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for member in archive.infolist():
        if not member.is_dir() and not stat.S_ISLNK(member.external_attr >> 16):
            yield _Member(member.filename, member.file_size, partial(archive.open, member))


def _as_it_is(source: IO[bytes]) -> IO[bytes]:
    return source
