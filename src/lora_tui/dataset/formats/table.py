"""A Parquet file that a worker process writes: its libraries live there alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from lora_tui.jobs import table_rows
from lora_tui.workspace.errors import LoraTuiError


class Table:
    """Takes rows as JSON; leaving the context completes the file. Raises LoraTuiError when the worker cannot."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._where = where
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed on leaving the context
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lora_tui.worker", "table"],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=self._errors,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
        )

    def __enter__(self) -> Self:
        return self

    def write(self, row: bytes) -> None:
        """One row, without a line end."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(row + b"\n")
        except BrokenPipeError:  # it gave up, and has said why
            raise self._trouble() from None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        assert self._process.stdin is not None
        try:
            if kind is not None:
                self._process.kill()
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
            if self._process.wait() and kind is None:
                raise self._trouble()
        finally:
            self._process.kill()
            self._process.wait()
            self._errors.close()

    def _trouble(self) -> LoraTuiError:
        self._process.wait()
        self._errors.seek(0)
        last = (self._errors.read().splitlines() or [b""])[-1]
        try:
            said = table_rows.reply(last)
        except msgspec.DecodeError:
            said = table_rows.Trouble(error=f"the process that writes it ended: {last.decode(errors='replace')}")
        if isinstance(said, table_rows.Trouble):
            return LoraTuiError(said.error, where=self._where, fix=said.fix)
        return LoraTuiError("the process that writes it ended too early", where=self._where)
