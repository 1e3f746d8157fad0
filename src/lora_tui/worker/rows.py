"""The rows of a dataset folder, as they stand in its JSONL files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.dataset.model import TOOLS_FILE
from lora_tui.dataset.stored import toolsets
from lora_tui.workspace.errors import BadInput


class Row(msgspec.Struct, frozen=True):
    """One conversation: OpenAI chat messages (with an optional `weight` each) and the tools it had.

    toolset: the tools stand once for all rows, under this key of TOOLS_FILE.
    copy: 0, or which repetition it is of a row that was repeated on purpose.
    """

    id: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None = None
    toolset: str = ""
    language: str = ""
    copy: int = 0  # 1 for the first repetition of a row, and so on


def read_rows(dataset: Path, split: str) -> Iterator[Row]:
    """The rows of <dataset>/<split>.jsonl, one at a time; none when there is no such file.

    Rows with the same toolset share one list of tools. Raises BadInput with the line.
    """
    if not dataset.is_dir():
        raise BadInput(
            "there is no dataset here", where=str(dataset), fix="See `lora-tui dataset list`, or build it again."
        )
    path = dataset / f"{split}.jsonl"
    if not path.is_file():
        return
    tools = toolsets(dataset / TOOLS_FILE)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line, type=Row)
            except msgspec.DecodeError as error:
                raise BadInput(
                    f"not a row of a dataset: {error}", where=f"{path}:{number}", fix="Build the dataset again."
                ) from error
            if row.toolset:
                if row.toolset not in tools:
                    raise BadInput(
                        f"the tools {row.toolset!r} of this row are missing",
                        where=f"{path}:{number}",
                        fix="Build the dataset again.",
                    )
                row = msgspec.structs.replace(row, tools=tools[row.toolset])
            yield row
