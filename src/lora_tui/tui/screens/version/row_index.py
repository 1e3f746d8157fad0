"""Where the rows of a version stand in their files: found once, read one by one."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from textual.cache import LRUCache

from lora_tui.dataset.model import SPLITS, Dataset, Row
from lora_tui.tui.safe_text import one_line

_ID = re.compile(rb'\{"id":"([^"\\]+)"')
_LONGEST = 300  # characters of a request in the list
_REMEMBERED = 256

_decoder = msgspec.json.Decoder(Row)


class Brief(msgspec.Struct, frozen=True):
    """What a list shows of a row."""

    id: str
    split: str
    request: str
    language: str
    source: str
    characters: int
    turns: int  # of the assistant
    note: str = ""  # why it cannot be read; what it is besides an ordinary row


class RowIndex:
    """Rows by number, in the order of the files. Memory: some 130 bytes a row."""

    def __init__(self, dataset: Dataset) -> None:
        """Goes through the files once, without reading a row."""
        self.dataset = dataset
        self._starts = array("q")
        self._sizes = array("q")
        self._first: dict[str, int] = {}  # split -> number of its first row
        self.ids: list[str] = []
        self._briefs: LRUCache[int, Brief] = LRUCache(_REMEMBERED)
        for split in SPLITS:
            self._first[split] = len(self.ids)
            path = self._path(split)
            if not path.is_file():
                continue
            place = 0
            with path.open("rb") as file:
                for line in file:
                    if line.strip():
                        self._starts.append(place)
                        self._sizes.append(len(line))
                        found = _ID.match(line)
                        self.ids.append(found[1].decode("utf-8", "replace") if found else "")
                    place += len(line)

    def __len__(self) -> int:
        return len(self.ids)

    def split(self, number: int) -> str:
        """The split a row is in."""
        return max((name for name in SPLITS if self._first[name] <= number), key=lambda name: self._first[name])

    def place(self, number: int) -> str:
        """A row by its place in its split, as in train:3."""
        split = self.split(number)
        return f"{split}:{number - self._first[split] + 1}"

    def line(self, number: int) -> bytes:
        """A row as it stands in its file."""
        with self._path(self.split(number)).open("rb") as file:
            file.seek(self._starts[number])
            return file.read(self._sizes[number])

    def row(self, number: int) -> Row:
        """A row. Raises msgspec.DecodeError and OSError."""
        return _decoder.decode(self.line(number))

    def brief(self, number: int) -> Brief:
        """What the list shows of it."""
        found = self._briefs.get(number)
        if found is None:
            found = self._briefs[number] = self._read(number)
        return found

    def holding(self, words: str, stopped: Callable[[], bool] = lambda: False) -> Iterator[int]:
        """The numbers of the rows that hold every word, in any place."""
        wanted = [word.lower() for word in words.split()]
        for number in range(len(self)):
            if number % 64 == 0 and stopped():
                return
            text = self.line(number).decode("utf-8", "replace").lower()
            if all(word in text for word in wanted):
                yield number

    def _read(self, number: int) -> Brief:
        split = self.split(number)
        try:
            row = self.row(number)
        except (msgspec.DecodeError, OSError) as error:
            return Brief(self.ids[number], split, "", "", "", 0, 0, note=f"cannot be read: {error}")
        learned = [message for message in row.messages if message.role == "assistant" and message.weight]
        asked = _asked(row)
        return Brief(
            id=row.id,
            split=split,
            request=one_line(asked[: 4 * _LONGEST])[:_LONGEST],
            language=row.language,
            source=row.source,
            characters=sum(len(message.content) for message in row.messages),
            turns=len(learned),
            note=f"repetition {row.copy}"
            if row.copy
            else row.origin
            if row.origin not in ("session", "commit")
            else "",
        )

    def _path(self, split: str) -> Path:
        return self.dataset.folder / f"{split}.jsonl"


def _asked(row: Row) -> str:
    """The request that the first learned answer answers; the requests before it are context."""
    asked = ""
    for message in row.messages:
        if message.role == "user" and message.content.strip():
            asked = message.content
        elif message.role == "assistant" and message.weight:
            break
    return asked
