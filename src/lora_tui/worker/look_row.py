"""One row of a dataset's split files, found by what a person calls it."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.dataset.model import SPLITS, TOOLS_FILE
from lora_tui.worker.rows import Row
from lora_tui.workspace.errors import BadInput

_PLACE = re.compile(rf"({'|'.join(SPLITS)}):(\d+)")
_NAMED = 5  # ids named when there is not exactly one


class Found(msgspec.Struct, frozen=True):
    """A row with its tools, and where it stands: the split and its place there, from 1."""

    row: Row
    split: str
    number: int


class _Id(msgspec.Struct):
    id: str


_ids = msgspec.json.Decoder(_Id)


def find(dataset: Path, split: str, wanted: str) -> Found:
    """The row with this id, the only one whose id begins so, or the one at train:3. Raises BadInput."""
    if not dataset.is_dir():
        raise BadInput("there is no dataset here", where=str(dataset), fix="See `lora-tui dataset list`.")
    place = _PLACE.fullmatch(wanted)
    if place:
        return _at(dataset, place[1], int(place[2]))
    beginning: dict[str, tuple[str, int, bytes]] = {}
    others: set[str] = set()
    for name in (split,) if split else SPLITS:
        for number, line in _lines(dataset, name):
            identity = _identity(line, dataset, name, number)
            if identity == wanted:
                return _found(dataset, name, number, line)
            if wanted and identity.startswith(wanted):
                if len(beginning) <= _NAMED:
                    beginning.setdefault(identity, (name, number, line))
            else:
                others.add(identity)
    if len(beginning) == 1:
        return _found(dataset, *next(iter(beginning.values())))
    where = f"{dataset.parent.name}@{dataset.name}" + (f", {split}" if split else "")
    if beginning:
        named = ", ".join(list(beginning)[:_NAMED]) + (" …" if len(beginning) > _NAMED else "")
        raise BadInput(f"several rows begin with {wanted!r}", where=where, fix=f"Write more of the id: {named}")
    near = heapq.nlargest(_NAMED, sorted(others), key=lambda identity: _alike(identity, wanted))
    raise BadInput(
        f"there is no row {wanted!r}",
        where=where,
        fix=f"Give an id or a place like train:3. Ids near it: {', '.join(near)}" if near else "It has no rows here.",
    )


def _at(dataset: Path, split: str, wanted: int) -> Found:
    number = 0
    for number, line in _lines(dataset, split):
        if number == wanted:
            return _found(dataset, split, number, line)
    raise BadInput(
        f"there is no row {split}:{wanted}",
        where=f"{dataset.parent.name}@{dataset.name}",
        fix=f"{split} has {number} row{'' if number == 1 else 's'}, counted from 1.",
    )


def _lines(dataset: Path, split: str) -> Iterator[tuple[int, bytes]]:
    """The rows of a split as they stand, counted from 1."""
    path = dataset / f"{split}.jsonl"
    if path.is_file():
        with path.open("rb") as file:
            yield from enumerate((line for line in file if line.strip()), start=1)


def _identity(line: bytes, dataset: Path, split: str, number: int) -> str:
    try:
        return _ids.decode(line).id
    except msgspec.DecodeError as error:
        raise _damaged(dataset, split, number, error) from error


def _found(dataset: Path, split: str, number: int, line: bytes) -> Found:
    try:
        row = msgspec.json.decode(line, type=Row)
    except msgspec.DecodeError as error:
        raise _damaged(dataset, split, number, error) from error
    if row.toolset:
        row = msgspec.structs.replace(row, tools=_tools(dataset, row.toolset))
    return Found(row, split, number)


def _damaged(dataset: Path, split: str, number: int, error: Exception) -> BadInput:
    return BadInput(
        f"not a row of a dataset: {error}", where=f"{dataset / split}.jsonl, row {number}", fix="Build it again."
    )


def _tools(dataset: Path, name: str) -> list[dict[str, Any]]:
    path = dataset / TOOLS_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, list[dict[str, Any]]])[name]
    except (OSError, KeyError, msgspec.DecodeError) as error:
        raise BadInput(
            f"the tools {name!r} of this row are missing", where=str(path), fix="Build the dataset again."
        ) from error


def _alike(one: str, other: str) -> int:
    """Characters that two ids begin with together."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
