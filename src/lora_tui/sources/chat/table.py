"""Parquet files and folders saved by Hugging Face `datasets`, read by the worker: its libraries live there alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from lora_tui.jobs import table_rows
from lora_tui.sources.chat.rows import Row
from lora_tui.workspace.errors import SourceError

_MARKS = ("dataset_info.json", "dataset_dict.json")  # in what save_to_disk wrote


def is_table(path: Path) -> bool:
    """Whether the worker has to read it."""
    if path.is_dir():
        return any((path / mark).is_file() for mark in _MARKS)
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:
        return False


def rows(path: Path) -> Iterator[Row]:
    """Every row, streamed from a worker process that ends with this iterator. Raises SourceError."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "lora_tui.worker", "rows", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        assert process.stdout is not None
        try:
            yield from _received(process.stdout, path, errors)
        finally:
            process.stdout.close()
            process.kill()  # after its last word there is nothing it could lose
            process.wait()


def _received(pipe: IO[bytes], path: Path, errors: IO[bytes]) -> Iterator[Row]:
    number = 0
    for line in pipe:
        try:
            said = table_rows.reply(line)
        except msgspec.DecodeError:
            break
        match said:
            case table_rows.Row():
                number += 1
                yield Row("row", number, said.data)
            case table_rows.Unreadable():
                number += 1
                yield Row("row", number, problem=said.reason)
            case table_rows.End():
                return
            case table_rows.Trouble():
                raise SourceError(said.error, where=str(path), fix=said.fix)
    errors.seek(0)
    last = errors.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
    raise SourceError(f"the process that reads it ended too early: {last[-1]}", where=str(path))
