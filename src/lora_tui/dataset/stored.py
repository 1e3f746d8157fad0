"""Reading the files of a version line by line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from lora_tui.dataset.model import MEMBERS_FILE, TOOLS_FILE, Dataset, Member, Row
from lora_tui.workspace.errors import BadInput

T = TypeVar("T")

_FIX = "`lora-tui dataset verify` tells what else is damaged; the next build is a whole version again."

_rows = msgspec.json.Decoder(Row)
_members = msgspec.json.Decoder(Member)


def rows(dataset: Dataset, split: str) -> Iterator[Row]:
    """The rows of one split in their order. Raises BadInput with the line that cannot be read."""
    return lines(dataset.folder / f"{split}.jsonl", _rows, "a row")


def rows_with_tools(dataset: Dataset, split: str) -> Iterator[Row]:
    """The rows of one split, each with its tools in it. Raises BadInput as `rows` does, and for tools that are gone."""
    tools = toolsets(dataset.folder / TOOLS_FILE)
    for number, row in enumerate(rows(dataset, split), start=1):
        if not row.toolset:
            yield row
        elif row.toolset in tools:
            yield msgspec.structs.replace(row, tools=tools[row.toolset])
        else:
            where = f"{dataset.folder / f'{split}.jsonl'}:{number}"
            raise BadInput(f"the tools {row.toolset!r} of this row are missing", where=where, fix=_FIX)


def toolsets(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The tools in a TOOLS_FILE by the name that rows give; none where there is no such file. Raises BadInput."""
    if not path.is_file():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, list[dict[str, Any]]])
    except msgspec.DecodeError as error:
        raise BadInput(f"not a file of tools: {error}", where=str(path), fix=_FIX) from error


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
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    where = f"{path}:{number}"
                    raise BadInput(f"not {what} of a dataset: {error}", where=where, fix=_FIX) from error
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
