"""A resident tokenizer: a worker process that shows rows of a dataset as the model will see them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import IO

import msgspec

from lora_tui.jobs import token_view
from lora_tui.jobs.token_view import Ready, Request, Trouble, View
from lora_tui.workspace.errors import BadInput, LoraTuiError

_TOLD = 64 * 1024  # bytes of what the worker printed that are read for its last line


class Looker:
    """Holds one base's tokenizer in a process of its own, which ends with this object.

    Calls wait for the process (loading takes seconds): never call them where a screen is drawn. `close` alone does not
    wait for an answer: it ends a question that another thread is asking.
    """

    def __init__(self, base: str) -> None:
        """Raises LoraTuiError when the tokenizer cannot be loaded."""
        self.base = base
        self._lock = threading.Lock()
        self._number = 0
        self._closed = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lora_tui.worker", "look", base],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | {"TOKENIZERS_PARALLELISM": "false"},
        )
        self._end = weakref.finalize(self, _end, self._process, self._errors)
        try:
            match self._reply():
                case Ready():
                    pass
                case Trouble() as trouble:
                    raise _error(trouble)
                case _:
                    raise self._broken()
        except BaseException:  # an interrupt too: nobody else knows the process
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """It can be asked."""
        return not self._closed and self._process.poll() is None

    def ask(self, dataset: Path, split: str, row: str, max_length: int) -> View:
        """One row of a version's folder as tokens. `row`: an id, its beginning, or train:3; `split` '' is any.

        Raises BadInput when there is no such row, LoraTuiError when the process is gone.
        """
        with self._lock:
            self._number += 1
            asked = Request(id=self._number, dataset=str(dataset), row=row, split=split, max_length=max_length)
            try:
                pipe = _pipe(self._process.stdin)
                pipe.write(token_view.line(asked))
                pipe.flush()
            except (BrokenPipeError, ValueError):  # ValueError: closed on this side
                raise self._broken() from None
            match self._reply():
                case View() as view if view.id == asked.id:
                    return view
                case Trouble() as trouble:
                    raise _error(trouble)
                case _:
                    raise self._broken()

    def close(self) -> None:
        """End the process at once; it holds nothing that could be lost."""
        self._closed = True
        self._process.kill()
        self._process.wait()
        with self._lock:  # whoever was asking has read the end of the pipe by now
            self._end()

    def _reply(self) -> token_view.Reply | None:
        try:
            line = _pipe(self._process.stdout).readline()
            return token_view.reply(line) if line else None
        except (msgspec.DecodeError, ValueError):
            return None

    def _broken(self) -> LoraTuiError:
        if self._closed:
            return LoraTuiError("the tokenizer was closed before it answered")
        self._process.kill()
        status = self._process.wait()
        said = self._last_words() or (f"it was ended by signal {-status}" if status < 0 else "it said nothing")
        return LoraTuiError(
            f"the tokenizer's process is gone: {said}", where=self.base, fix="Ask again to start a new one."
        )

    def _last_words(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _TOLD))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""


def _end(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        try:
            _pipe(pipe).close()
        except OSError:  # what was not yet written finds no reader
            pass
    errors.close()


def _error(trouble: Trouble) -> LoraTuiError:
    kind = BadInput if trouble.bad_input else LoraTuiError
    return kind(trouble.error, where=trouble.where, fix=trouble.fix)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
