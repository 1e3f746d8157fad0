"""audit.json: what a dataset is, counted with the tokenizer and template of the base it is meant for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput

FILE = "audit.json"

Reason = Literal["too_long", "no_loss", "not_text"]


class LeftOut(msgspec.Struct, frozen=True):
    """A row that is not trained on, and why; `tokens` is 0 where it could not be counted."""

    id: str
    split: str
    reason: Reason
    tokens: int


class Bin(msgspec.Struct, frozen=True):
    """Rows whose token count is above the bin before and at most `up_to`."""

    up_to: int
    rows: int


class Audited(msgspec.Struct, frozen=True):
    """What a run on this dataset would do. Token counts are of the rows that are trained on."""

    rows: int  # training rows that remain
    validation_rows: int
    left_out: tuple[LeftOut, ...]
    tokens: int
    loss_tokens: int
    longest: int  # tokens of the longest row, left out or not
    longest_kept: int  # tokens of the longest row that is trained on
    most_loss_tokens: int  # of one row that is trained on
    histogram: tuple[Bin, ...]
    max_length: int
    vocabulary: int  # of the base, as are the next three
    hidden_size: int
    layers: int
    parameters: int
    trainable_parameters: int
    steps: int  # optimizer steps of the whole run

    @property
    def rows_too_long(self) -> tuple[LeftOut, ...]:
        """Rows longer than max_length."""
        return tuple(row for row in self.left_out if row.reason == "too_long")

    @property
    def rows_without_loss(self) -> tuple[LeftOut, ...]:
        """Rows in which nothing carries loss."""
        return tuple(row for row in self.left_out if row.reason == "no_loss")


def save(folder: Path, audited: Audited) -> None:
    """Write audit.json into a run folder."""
    atomic.write_bytes(folder / FILE, msgspec.json.format(msgspec.json.encode(audited)))


def load(folder: Path) -> Audited:
    """Read audit.json of a run folder. Raises BadInput."""
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Audited)
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(f"cannot read the audit: {error}", where=str(path)) from error
