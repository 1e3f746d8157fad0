"""Tokenised rows in a file that is mapped into memory: training holds a batch, however large the dataset is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, concatenate_datasets

from lora_tui.worker.mask import IGNORED
from lora_tui.worker.packs import packs_of
from lora_tui.worker.tokenize import Tokens

FOLDER = "tokens"
_CHUNK = 512  # rows in memory while the file is written

_TOKENS = pa.list_(pa.int32())
_ROWS = pa.schema({"input_ids": _TOKENS, "labels": _TOKENS, "length": pa.int32(), "row": pa.int32(), "id": pa.string()})
_PACKS = pa.schema({"input_ids": _TOKENS, "labels": _TOKENS, "length": pa.int32(), "rows": _TOKENS, "lengths": _TOKENS})


def write_rows(path: Path, rows: Iterable[Tokens], first: int = 0) -> Dataset:
    """Rows as a table of `input_ids`, `labels`, `length`, `row` (its place here) and `id` (in the dataset)."""

    def made() -> Iterator[dict[str, Any]]:
        for place, row in enumerate(rows, start=first):
            yield {
                "input_ids": row.input_ids,
                "labels": row.labels,
                "length": len(row.input_ids),
                "row": place,
                "id": row.id,
            }

    return _write(path, _ROWS, made())


def with_more(table: Dataset, path: Path, rows: Iterable[Tokens]) -> Dataset:
    """The table and behind it these rows, which are kept in a file of their own."""
    return concatenate_datasets([table, write_rows(path, rows, first=len(table))])


def filled_up(table: Dataset, path: Path, turn: int, pad: int) -> Dataset:
    """The table and behind it as many rows without a label as make its length a multiple of `turn`.

    Several processes take the same number of rows. Where a table does not divide, accelerate would hand out its first
    rows once more; a row without a label changes neither loss nor gradient.
    """
    missing = -len(table) % turn
    if not missing:
        return table
    blank: dict[str, Any] = {"input_ids": [pad], "labels": [IGNORED], "length": 1}
    packed = "lengths" in table.column_names
    blank |= {"rows": [-1], "lengths": [1]} if packed else {"row": -1, "id": ""}
    filling = _write(path, _PACKS if packed else _ROWS, iter([blank] * missing))
    return concatenate_datasets([table, filling])


def write_packs(path: Path, rows: Dataset, size: int) -> Dataset:
    """The same rows in packs of at most `size` tokens; `rows` are places in the table that was given."""

    def made() -> Iterator[dict[str, Any]]:
        for places in packs_of(lengths_of(rows), size):
            found = rows[places]
            yield {
                "input_ids": list(chain.from_iterable(found["input_ids"])),
                "labels": list(chain.from_iterable(found["labels"])),
                "length": sum(found["length"]),
                "rows": places,
                "lengths": found["length"],
            }

    return _write(path, _PACKS, made())


def lengths_of(table: Dataset) -> list[int]:
    """Tokens of each row, or of each pack."""
    lengths: list[int] = table.data.column("length").to_pylist()
    return lengths


def ids_of(table: Dataset, places: Sequence[int]) -> list[str]:
    """What the dataset calls the rows at these places; -1 is none."""
    column = table.data.column("id")
    return [column[place].as_py() for place in places if place >= 0]


def _write(path: Path, schema: pa.Schema, rows: Iterator[dict[str, Any]]) -> Dataset:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pa.OSFile(str(draft), "wb") as file, pa.ipc.new_stream(file, schema) as stream:
            part: list[dict[str, Any]] = []
            for row in rows:
                part.append(row)
                if len(part) == _CHUNK:
                    stream.write_batch(pa.RecordBatch.from_pylist(part, schema=schema))
                    part = []
            stream.write_batch(pa.RecordBatch.from_pylist(part, schema=schema))
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return Dataset.from_file(str(path))
