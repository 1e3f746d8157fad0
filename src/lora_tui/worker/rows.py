"""The rows of a dataset folder, as they stand in its JSONL files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from lora_tui.dataset.model import TOOLS_FILE
from lora_tui.workspace.errors import BadInput


class Row(msgspec.Struct, frozen=True):
    """One conversation: OpenAI chat messages (with an optional `weight` each) and the tools it had.

    toolset: the tools stand once for all rows, under this key of TOOLS_FILE.
    """

    id: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None = None
    toolset: str = ""


def read_split(dataset: Path, split: str) -> list[Row]:
    """The rows of <dataset>/<split>.jsonl; none when there is no such file. Raises BadInput with the line."""
    if not dataset.is_dir():
        raise BadInput(
            "there is no dataset here", where=str(dataset), fix="See `lora-tui dataset list`, or build it again."
        )
    path = dataset / f"{split}.jsonl"
    if not path.is_file():
        return []
    toolsets = _toolsets(dataset / TOOLS_FILE)
    rows: list[Row] = []
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
                if row.toolset not in toolsets:
                    raise BadInput(
                        f"the tools {row.toolset!r} of this row are missing",
                        where=f"{path}:{number}",
                        fix="Build the dataset again.",
                    )
                row = msgspec.structs.replace(row, tools=toolsets[row.toolset])
            rows.append(row)
    return rows


def _toolsets(path: Path) -> dict[str, list[dict[str, Any]]]:
    if not path.is_file():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, list[dict[str, Any]]])
    except msgspec.DecodeError as error:
        raise BadInput(f"not a file of tools: {error}", where=str(path), fix="Build the dataset again.") from error
