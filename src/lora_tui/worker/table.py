"""Rows of the format `parquet`, one JSON line each, written as a Parquet file of one fixed schema.

Every column has its type whatever the rows hold, so that a file of chats without tools and one with them can be joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

import msgspec

from lora_tui.workspace.errors import BadInput

_ROWS = 1_000  # of a row group, at most
_BYTES = 16 * 1024**2  # of the JSON of a row group, about


def write(lines: Iterable[bytes], file: IO[bytes]) -> int:
    """Write every line's row; returns how many. Memory: one row group. Raises BadInput with the line."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema()
    number = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in _groups(lines):
            try:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            except (pa.ArrowException, ValueError, TypeError) as error:
                raise BadInput(f"rows that the table cannot hold: {error}", where=f"after row {number}") from error
            number += len(rows)
    return number


def _schema() -> Any:
    import pyarrow as pa

    function = pa.struct([("name", pa.string()), ("arguments", pa.string())])
    call = pa.struct([("id", pa.string()), ("type", pa.string()), ("function", function)])
    message = pa.struct(
        [
            ("role", pa.string()),
            ("content", pa.string()),
            ("reasoning_content", pa.string()),
            ("tool_calls", pa.list_(call)),
            ("tool_call_id", pa.string()),
            ("weight", pa.int64()),
        ]
    )
    return pa.schema([("messages", pa.list_(message)), ("tools", pa.string()), ("lora_tui", pa.string())])


def _groups(lines: Iterable[bytes]) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    size = 0
    for line in lines:
        rows.append(msgspec.json.decode(line, type=dict[str, Any]))
        size += len(line)
        if len(rows) >= _ROWS or size >= _BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows
