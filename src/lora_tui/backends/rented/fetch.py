"""Folders brought back from the other machine: each file from the byte where an earlier try ended, and verified."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import asyncssh

from lora_tui.backends.rented.asking import ask
from lora_tui.backends.rented.connection import Connection
from lora_tui.backends.rented.patience import Patience
from lora_tui.workspace.errors import LoraTuiError

_BLOCK = 1 << 20
_TRIES = 2

Files = dict[str, tuple[int, str]]  # a file's path in its folder: its size and SHA-256
_Found: Any = Files | None


class Gone(Exception):
    """The folder is not there, or not any more."""


async def fetch(
    patience: Patience,
    python: str,
    folder: str,
    here: Path,
    *,
    told: Callable[[int, int], None] = lambda done, total: None,
    finish: Callable[[Path], None] = lambda draft: None,
) -> None:
    """Bring a folder there to `here`, where it appears whole and verified, or not at all.

    told: bytes done, of how many. finish: what is done to it before it appears. Raises Gone, or LoraTuiError where a
    file arrives otherwise than that machine says it is.
    """
    draft = here.with_name(f".{here.name}.fetched")
    files = await _bring(patience, python, folder, draft, None, told)
    for path in [path for path in draft.rglob("*") if path.is_file() and str(path.relative_to(draft)) not in files]:
        path.unlink()
    draft.mkdir(parents=True, exist_ok=True)
    finish(draft)
    if here.exists():
        shutil.rmtree(here)
    os.rename(draft, here)
    _sync(here.parent)


async def fetch_beside(patience: Patience, python: str, folder: str, here: Path, only: Sequence[str]) -> None:
    """Bring what is called `only` at the top of a folder there into the folder `here`, each file whole and verified.

    What is here as it is there is not sent again.
    """
    draft = here / ".fetched"
    for name in await _bring(patience, python, folder, draft, only, lambda done, total: None, beside=here):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(draft / name, here / name)
    shutil.rmtree(draft, ignore_errors=True)


async def _bring(
    patience: Patience,
    python: str,
    folder: str,
    draft: Path,
    only: Sequence[str] | None,
    told: Callable[[int, int], None],
    beside: Path | None = None,
) -> Files:
    """What was brought to `draft`: all files of the folder there but for those that are `beside` it already."""
    connection = patience.connection
    for _ in range(_TRIES):
        found: Files | None = await patience.do(
            lambda: ask(connection, python, _Found, "hashes", 3600, folder=folder, only=only)
        )
        if found is None:
            raise Gone
        if beside is not None:
            found = await asyncio.to_thread(_not_in, beside, found)
        total, done, wrong = sum(size for size, _ in found.values()), 0, []
        for name, (size, digest) in sorted(found.items()):
            path = _inside(draft, name)

            def count(arrived: int, before: int = done, total: int = total) -> None:
                told(before + arrived, total)

            await patience.do(partial(_file, connection, f"{folder}/{name}", path, size, count))
            if await asyncio.to_thread(_sha256, path) != digest:
                path.unlink()
                wrong.append(name)
            done += size
        if not wrong:
            return found
    raise LoraTuiError(
        f"{', '.join(wrong)} did not arrive as it is there",
        where=f"{connection.target.name}, {folder}",
        fix="Check both disks, then go on: lora-tui runs resume.",
    )


def _not_in(folder: Path, files: Files) -> Files:
    def is_there(path: Path, size: int, digest: str) -> bool:
        return path.is_file() and path.stat().st_size == size and _sha256(path) == digest

    return {name: said for name, said in files.items() if not is_there(_inside(folder, name), *said)}


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if os.path.isabs(name) or ".." in Path(name).parts:
        raise LoraTuiError(f"the other machine names a file outside of its folder: {name!r}")
    return path


async def _file(connection: Connection, source: str, path: Path, size: int, count: Callable[[int], None]) -> None:
    sftp = await connection.sftp()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as target, connection.dropping():
        if target.tell() > size:
            target.truncate(0)
        try:
            async with sftp.open(source, "rb") as file:
                while (done := target.tell()) < size:
                    block = cast(bytes, await file.read(min(_BLOCK, size - done), done))
                    if not block:  # it has become shorter: the hash will tell
                        break
                    target.write(block)
                    target.flush()
                    count(target.tell())
        except asyncssh.SFTPNoSuchFile as error:
            raise Gone from error
        os.fsync(target.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
