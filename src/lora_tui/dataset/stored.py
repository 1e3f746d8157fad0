"""Reading the files of a version line by line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from lora_tui.dataset.model import MEMBERS_FILE, Dataset, Member, Row
from lora_tui.workspace.errors import BadInput

T = TypeVar("T")

_rows = msgspec.json.Decoder(Row)
_members = msgspec.json.Decoder(Member)


def rows(dataset: Dataset, split: str) -> Iterator[Row]:
    """The rows of one split in their order. Raises BadInput with the line that cannot be read."""
    return lines(dataset.folder / f"{split}.jsonl", _rows, "a row")


def members(dataset: Dataset) -> Iterator[Member]:
    """Which example became which row, in the order of the splits' rows. Raises BadInput as `rows` does."""
    return lines(dataset.folder / MEMBERS_FILE, _members, "a member")


def lines(path: Path, decoder: msgspec.json.Decoder[T], what: str) -> Iterator[T]:
    """Each line decoded. Raises BadInput with the line that is not `what`, or where there is no file to read."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise BadInput(f"not {what} of a dataset: {error}", where=f"{path}:{number}") from error
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
