"""The rows of a version's files as the dataset room knows them, one after the other or by their place."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.dataset.model import SPLITS, Row

_DECODER = msgspec.json.Decoder(Row)


class RowFiles:
    """Goes through every split once and remembers where each row lies; 8 bytes and its id a row."""

    def __init__(self, dataset: Path) -> None:
        self._files = {split: path for split in SPLITS if (path := dataset / f"{split}.jsonl").is_file()}
        self._offsets = array("Q")
        self.splits: list[str] = []
        self.ids: list[str] = []

    def __iter__(self) -> Iterator[Row]:
        for split, path in self._files.items():
            with path.open("rb") as file:
                offset = 0
                for line in file:
                    if line.strip():
                        row = row_of(line)
                        self._offsets.append(offset)
                        self.splits.append(split)
                        self.ids.append(row.id)
                        yield row
                    offset += len(line)

    def read(self, place: int) -> Row:
        """The row at a place, counted from 0 over all splits."""
        with self._files[self.splits[place]].open("rb") as file:
            file.seek(self._offsets[place])
            return row_of(file.readline())


def row_of(line: bytes) -> Row:
    """A row; of one from outside the texts alone, with what it calls."""
    try:
        return _DECODER.decode(line)
    except msgspec.ValidationError:
        given = msgspec.json.decode(line)
    return msgspec.convert(
        {"id": str(given.get("id", "")), "messages": [_message(message) for message in given.get("messages", ())]},
        Row,
        strict=False,
    )


def _message(given: Mapping[str, Any]) -> dict[str, Any]:
    content = given.get("content")
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    calls = [call["function"] for call in given.get("tool_calls") or () if isinstance(call.get("function"), dict)]
    return {
        "role": str(given.get("role", "")),
        "content": content if isinstance(content, str) else "",
        "weight": 0 if given.get("weight") == 0 else 1,
        "tool_calls": [
            {"id": "", "function": {"name": str(call.get("name", "")), "arguments": _text(call.get("arguments"))}}
            for call in calls
        ],
    }


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
