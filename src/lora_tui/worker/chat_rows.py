"""The rows of a Parquet file or of a folder that `datasets` saved, one JSON line each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from lora_tui.jobs.table_rows import End, Row, Trouble, Unreadable, line
from lora_tui.workspace.errors import BadInput

_encoder = msgspec.json.Encoder()


def serve(path: Path, wire: BinaryIO) -> None:
    """Write every row of every split. Raises BadInput when the table cannot be opened."""
    try:
        for row in _rows(path):
            wire.write(_said(row))
        wire.write(line(End()))
        wire.flush()
    except BrokenPipeError:  # whoever asked has what they wanted
        return


def say_failed(wire: BinaryIO, error: str, fix: str) -> None:
    """The last word when it cannot go on."""
    try:
        wire.write(line(Trouble(error=error, fix=fix)))
        wire.flush()
    except BrokenPipeError:
        return


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import datasets

    datasets.disable_progress_bars()
    try:
        if path.is_dir():
            found = datasets.load_from_disk(str(path))
            splits = list(found.values()) if isinstance(found, datasets.DatasetDict) else [found]
        else:
            splits = [datasets.load_dataset("parquet", data_files=str(path), split="train", streaming=True)]
        for split in splits:
            yield from _undecoded(split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:  # pyarrow's are ValueErrors
        raise BadInput(
            f"the table cannot be read: {(str(error).strip().splitlines() or [type(error).__name__])[0]}",
            fix="It must be a Parquet file, or a folder written by save_to_disk.",
        ) from error


def _undecoded(split: Any) -> Any:
    """Pictures and sounds stay bytes: no library for them is needed, and no format reads them."""
    for name, feature in (split.features or {}).items():
        if hasattr(feature, "decode"):
            split = split.cast_column(name, type(feature)(decode=False))
    return split


def _said(row: dict[str, Any]) -> bytes:
    try:
        return line(Row(data=msgspec.Raw(_encoder.encode(row))))
    except (TypeError, ValueError) as error:
        return line(Unreadable(reason=f"it holds what JSON cannot: {error}"))
