"""The conversations of a chat file as rows, kept in the run folder: a run goes on with those it began with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.dataset import general
from lora_tui.dataset.model import Rejected
from lora_tui.worker.rows import Row
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Data
from lora_tui.workspace.resources import shipped

FOLDER = "forgetting"  # in a run folder
GENERAL = "general.jsonl"
REPLAY = "replay.jsonl"

_DECODER = msgspec.json.Decoder(Row)
_ENCODER = msgspec.json.Encoder()


def shipped_general() -> Path:
    """The general conversations that forgetting is measured on, unless a profile names others."""
    return shipped("profiles") / "general" / "measure.jsonl"


def shipped_replay() -> Path:
    """Those that are replayed; none of them is measured on."""
    return shipped("profiles") / "general" / "replay.jsonl"


def kept(path: Path, chats: Path, seed: int, number: int = 0) -> list[Row]:
    """The rows that `path` keeps; else `number` (0: all) of the chat file's, which it keeps from now on.

    Which ones: told by the seed and by what they say. Secrets are redacted. Raises BadInput when it has none.
    """
    if path.is_file():
        return list(read(path))
    found = drawn(chats, seed, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, b"".join(line(row) for row in found))
    return found


def drawn(chats: Path, seed: int, number: int = 0) -> list[Row]:
    """Conversations of a chat file as rows of the engine, in the order of the file. Raises BadInput."""
    file = general.look_through(str(chats), seed)
    rows = [
        msgspec.convert(msgspec.to_builtins(item[1]), Row)
        for item in general.draw(file, number or file.conversations, Data())
        if not isinstance(item, Rejected)
    ]
    if not rows:
        raise BadInput("no conversation of this file can be used", where=str(chats))
    return rows


def read(path: Path) -> Iterator[Row]:
    """The rows of a file that `line` wrote; a half last line, which a crash left, is not one."""
    for data in path.read_bytes().splitlines():
        try:
            yield _DECODER.decode(data)
        except msgspec.DecodeError:
            continue


def line(row: Row) -> bytes:
    """One row as a line."""
    return _ENCODER.encode(row) + b"\n"


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add rows to a file, each by a single write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if file.tell() and not path.read_bytes().endswith(b"\n"):
            file.write(b"\n")
        for row in rows:
            file.write(line(row))
        file.flush()
        os.fsync(file.fileno())


def questions(row: Row) -> list[dict[str, Any]]:
    """What stands before the last answer of a conversation; empty where it has no answer."""
    last = max((at for at, message in enumerate(row.messages) if message["role"] == "assistant"), default=0)
    return row.messages[:last]
