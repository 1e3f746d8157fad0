"""The trained adapter: fetched in pieces that go on where a connection was cut, unpacked into PEFT's two files.

GET /v1/finetune/download answers with a tar in zstd (or gzip). The SDK's own DownloadManager begins again from nothing
when a connection is cut for the second time, and needs an answer to a probe; asking for a Range needs neither.
"""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from lora_tui.backends.together.client import ServiceError, asking
from lora_tui.backends.together.stay import Stay, pause
from lora_tui.jobs import journal
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import LoraTuiError

ADAPTER = "adapter"  # folder in the run folder
_NEEDED = ("adapter_config.json", "adapter_model.safetensors")
_ZSTD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
_TRIES = 6  # connections in a row that bring nothing
_PIECE = 1 << 20
_NO_SUCH_RANGE = 416
_LONGEST_HEADER = 1 << 27  # bytes of a safetensors file's header, as its reader allows at most 100 MB


class Damaged(LoraTuiError):
    """What was downloaded is not whole, or is no adapter."""


def fetched(stay: Stay, job: str) -> Path:
    """The folder with the job's adapter; what is there already is kept. Raises ServiceError, LoraTuiError."""
    folder = stay.run.folder / ADAPTER
    if folder.is_dir():
        return folder
    name = re.sub(r"[^\w-]", "_", job)  # an id of a server's, that is to name a file
    archive = stay.run.folder / "together" / f"{name}.adapter"
    if not archive.is_file():
        part = archive.with_suffix(".part")
        part.parent.mkdir(exist_ok=True)
        _downloaded(stay, job, part)
        part.replace(archive)
    try:
        with atomic.new_folder(folder) as draft:
            unpack(archive, draft)
    except Damaged:
        archive.unlink(missing_ok=True)  # it is fetched again
        raise
    archive.unlink(missing_ok=True)
    return folder


def _downloaded(stay: Stay, job: str, part: Path) -> None:
    failures = 0
    while True:
        before = _size(part)
        try:
            if _piece(stay, job, part):
                return
            raise ServiceError("the download was cut", where=job, fix="It goes on from there.", passing=True)
        except ServiceError as error:
            if error.status == _NO_SUCH_RANGE and before:
                return  # nothing is left to send: all of it came before an end that was not seen
            failures = failures + 1 if _size(part) <= before else 1
            if not error.passing or failures >= _TRIES:
                raise
            stay.log.write(journal.Note(message=f"{error.what}; going on at byte {_size(part):,}"))
            stay.wait(max(error.after, pause(0.0) * 2 ** (failures - 1)))


def _piece(stay: Stay, job: str, part: Path) -> bool:
    """Fetch what is missing; whether it is whole then."""
    have = _size(part)
    with (
        asking("downloading the adapter"),
        stay.client.fine_tuning.with_streaming_response.content(
            ft_id=job, checkpoint="adapter", extra_headers={"Range": f"bytes={have}-"}
        ) as answer,
    ):
        start, total = _range(answer.status_code, answer.headers)
        if start != have:
            have = 0  # it does not do ranges, or another one
            if start:
                raise ServiceError("the download's range is not the one asked for", where=job, fix="", passing=True)
        with _appending(part, have) as write:
            for data in answer.iter_bytes():  # as they come: a piece that is gathered is lost with a connection
                stay.refuse_to_stay()
                write(data)
                have += len(data)
                stay.progress("downloading the adapter", have, total)
    return not total or have == total


@contextmanager
def _appending(path: Path, size: int) -> Iterator[Callable[[bytes], object]]:
    """Write after the first `size` bytes of a file. Raises LoraTuiError where the disk cannot take it."""
    try:
        file = path.open("r+b" if size else "wb")
        file.seek(size)
        file.truncate()
    except OSError as error:
        raise _cannot_write(error, path) from error

    def write(data: bytes) -> None:
        try:
            file.write(data)
        except OSError as error:
            raise _cannot_write(error, path) from error

    try:
        yield write
    finally:
        try:
            file.close()
        except OSError as error:  # what was held back finds no room either
            raise _cannot_write(error, path) from error


def _range(status: int, headers: Any) -> tuple[int, int]:
    """Where the body begins in the file, and the file's size; 0 where it is not said. RFC 9110, §14.4."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("content-range", ""))
    if status == 206 and found:
        return int(found[1]), 0 if found[2] == "*" else int(found[2])
    return 0, int(headers.get("content-length") or 0)


def unpack(archive: Path, folder: Path) -> None:
    """Put the adapter's two files into `folder`. Raises LoraTuiError where they are not there, or not whole.

    Nothing else of the archive is written: neither pickles, nor links, nor a path outside.
    """
    found: set[str] = set()
    try:
        with _opened(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts:
                    raise _damaged(f"it names a path outside itself, {member.name}", archive)
                if path.name in _NEEDED and member.isfile() and path.name not in found:
                    source = tar.extractfile(member)
                    assert source is not None
                    found.add(path.name)
                    with source, (folder / path.name).open("wb") as file:
                        while data := source.read(_PIECE):
                            file.write(data)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, _zstd_error()) as error:
        raise _damaged(str(error), archive) from error
    except OSError as error:
        raise _cannot_write(error, folder) from error
    if missing := [name for name in _NEEDED if name not in found]:
        raise _damaged(f"without {' and '.join(missing)}", archive)
    _check(folder, archive)


def _check(folder: Path, archive: Path) -> None:
    """Whether the files are what their names say, whole. The header: safetensors' README, Format."""
    try:
        config = json.loads((folder / _NEEDED[0]).read_bytes())
        if not isinstance(config, dict) or "r" not in config:
            raise ValueError("adapter_config.json is no adapter's")
        weights = folder / _NEEDED[1]
        with weights.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= _LONGEST_HEADER:
                raise ValueError("adapter_model.safetensors has no header")
            header = json.loads(file.read(length))
        end = max((item["data_offsets"][1] for name, item in header.items() if name != "__metadata__"), default=0)
        if weights.stat().st_size != 8 + length + end:
            raise ValueError("adapter_model.safetensors is cut short")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(str(error), archive) from error


@contextmanager
def _opened(archive: Path) -> Iterator[IO[bytes]]:
    """The tar inside: in zstd, in gzip, or as it is."""
    with archive.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic == _ZSTD:
            import zstandard

            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader:
                yield reader
        elif magic[:2] == _GZIP:
            with gzip.GzipFile(fileobj=file) as unzipped:
                yield cast(IO[bytes], unzipped)
        else:
            yield file


def _zstd_error() -> type[Exception]:
    import zstandard

    return zstandard.ZstdError


def _cannot_write(error: OSError, path: Path) -> LoraTuiError:
    return LoraTuiError(f"cannot write: {error.strerror}", where=str(path), fix="Free some space, then go on.")


def _damaged(why: str, archive: Path) -> Damaged:
    fix = "Go on with the run: the archive is downloaded again."
    return Damaged(f"the downloaded adapter is damaged: {why}", where=archive.name, fix=fix)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
