"""Sending files: only what is not there as it should be, each from the byte where an earlier try ended."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import BinaryIO

import asyncssh

from lora_tui.backends.rented.asking import ask
from lora_tui.backends.rented.bundle import Piece
from lora_tui.backends.rented.connection import Connection
from lora_tui.backends.rented.patience import Patience
from lora_tui.workspace.errors import LoraTuiError

_BLOCK = 1 << 20
_SECONDS = 3600.0  # that hashing a large base may take
_TRIES = 2  # of a file that arrives otherwise than it was sent


async def upload(
    patience: Patience, python: str, root: str, pieces: Sequence[Piece], told: Callable[[int, int], None]
) -> int:
    """Bring every piece into `root` there; the bytes that were sent. `told`: bytes done, of how many.

    Files appear under their names when all have arrived and their hashes are right. Raises LoraTuiError.
    """
    connection = patience.connection
    by_path = {piece.path: piece for piece in pieces}
    asked = [(piece.path, piece.size, piece.sha256) for piece in by_path.values()]
    total, sent = 0, 0

    def count(more: int) -> None:
        nonlocal sent
        sent += more
        told(min(sent, total), total)

    for _ in range(_TRIES):
        look = partial(ask, connection, python, list[str], "differing", _SECONDS, root=root, files=asked)
        missing = [by_path[path] for path in await patience.do(look)]
        total = total or sum(piece.size for piece in missing)
        for piece in missing:
            await patience.do(partial(_send, connection, root, piece, count))
        arrived = [(piece.path, _part(piece), piece.sha256) for piece in missing]
        wrong = missing and await patience.do(
            partial(ask, connection, python, list[str], "accept", _SECONDS, root=root, files=arrived)
        )
        if not wrong:
            return sent
    raise LoraTuiError(
        "what was sent has not arrived as it was",
        where=connection.target.name,
        fix="Check the disk of that machine, then go on: lora-tui runs resume.",
    )


def _part(piece: Piece) -> str:
    return f"{piece.path}.{piece.sha256[:8]}.part"


async def _send(connection: Connection, root: str, piece: Piece, count: Callable[[int], None]) -> None:
    """Send one file into its part, what has not arrived of it."""
    sftp = await connection.sftp()
    part = f"{root}/{_part(piece)}"
    with connection.dropping():
        try:
            there = (await sftp.stat(part)).size or 0
        except asyncssh.SFTPNoSuchFile:
            there = 0
        begin = there if there <= piece.size else 0
        async with sftp.open(part, "r+b" if begin else "wb") as target:
            with _opened(piece) as source:
                source.seek(begin)
                done = begin
                while block := source.read(_BLOCK):
                    await target.write(block, done)
                    done += len(block)
                    count(len(block))


def _opened(piece: Piece) -> BinaryIO:
    return piece.file.open("rb") if piece.file is not None else io.BytesIO(piece.data)
