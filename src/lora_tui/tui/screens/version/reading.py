"""One row at a time, off the event loop: as it stands in its file, and by the model's tokens where they are wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from lora_tui.backends.token_view import Looker
from lora_tui.dataset.model import Row
from lora_tui.jobs.token_view import View
from lora_tui.tui.screens.version.models import Choice
from lora_tui.tui.screens.version.row_index import RowIndex
from lora_tui.workspace.errors import LoraTuiError


class Read(msgspec.Struct, frozen=True):
    """A row by its number, or why it cannot be read; `view`: its tokens, or why there are none."""

    number: int
    row: Row | str
    view: View | LoraTuiError | None = None


class Reading:
    """Keeps one model's tokenizer at hand for as long as rows are looked at with it."""

    def __init__(self) -> None:
        self._looker: Looker | None = None
        self._asking = threading.Lock()

    def read(
        self, index: RowIndex, number: int, model: Choice | None, unwanted: Callable[[], bool] = lambda: False
    ) -> Read | None:
        """A row, with its tokens where a model is given; None when nobody wants it any more."""
        try:
            row = index.row(number)
        except (OSError, msgspec.DecodeError) as error:
            return Read(number, f"this row cannot be read: {error}")
        if model is None:
            return Read(number, row)
        with self._asking:  # one question at a time; a cursor that has moved on asks no more
            return None if unwanted() else Read(number, row, self._tokens(index, number, model))

    def _tokens(self, index: RowIndex, number: int, model: Choice) -> View | LoraTuiError:
        try:
            if self._looker is None or not self._looker.alive:
                self._looker = Looker(model.base)
            limit = model.profile.training.max_length
            return self._looker.ask(index.dataset.folder, "", index.place(number), limit)
        except LoraTuiError as error:
            return error

    def leave(self, model: Choice | None = None) -> None:
        """End the tokenizer of any other model than this."""
        if self._looker is not None and (model is None or model.base != self._looker.base):
            self._looker.close()
            self._looker = None
