"""audit.json: what a dataset is, counted and looked through with the tokenizer and template of a base."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput

FILE = "audit.json"
FOLDER = "audits"  # in the folder of the dataset version
VERSION = 2  # raise it when the same dataset and base would give another audit

Reason = Literal["too_long", "no_loss", "all_loss", "not_text", "not_rendered", "rewritten"]
Severity = Literal["error", "warning", "note"]
Where = Literal["user turn", "edit"]


class Finding(msgspec.Struct, frozen=True):
    """Something a person should know before training; `code` is how an error is overridden by name."""

    severity: Severity
    code: str  # 'no-end-of-turn', 'suite-in-train', …
    message: str
    rows: tuple[str, ...] = ()  # the first ROWS_NAMED ids
    count: int = 0  # of all rows it is about
    fix: str = ""


ROWS_NAMED = 100
LISTED = 1000  # rows left out, and rows in parts, that an audit lists; all are counted

# What forbids training unless it is allowed by name.
ERRORS = (
    "double-bos",
    "everything-trained",
    "no-end-of-turn",
    "nothing-to-train",
    "special-tokens-in-text",
    "suite-in-train",
    "twins-across-splits",
)


class LeftOut(msgspec.Struct, frozen=True):
    """A row, or a part of a split row, that is not trained on; `tokens` is 0 where it could not be counted."""

    id: str
    split: str
    reason: Reason
    tokens: int
    about: str = ""  # the template's own words
    part: int = 0  # from 1, of a split row


class Cut(msgspec.Struct, frozen=True):
    """A row too long for max_length that is trained on in parts; no assistant turn was cut."""

    id: str
    split: str
    tokens: int  # of the whole row
    parts: int
    at: Where  # the deepest place it had to be split at


class Bin(msgspec.Struct, frozen=True):
    """Rows whose count is above the bin before and at most `up_to`."""

    up_to: int
    rows: int


class Counted(msgspec.Struct, frozen=True):
    """One split as it is trained on: rows after splitting and leaving out."""

    rows: int = 0
    tokens: int = 0
    loss_tokens: int = 0
    longest: int = 0
    most_loss_tokens: int = 0
    lengths: tuple[Bin, ...] = ()  # tokens per row
    losses: tuple[Bin, ...] = ()  # loss tokens per row
    prompts: tuple[Bin, ...] = ()  # tokens before the first that carries loss


class Packing(msgspec.Struct, frozen=True):
    """How full batches would be; shares of token slots that hold a token."""

    padded: float = 0.0  # batches of the profile's size in random order
    grouped: float = 0.0  # batches of neighbours in length
    packed: float = 0.0  # rows packed into max_length, first fit decreasing
    packs: int = 0  # rows after packing


class Audited(msgspec.Struct, frozen=True):
    """What a run on this dataset would train on, with everything that was found on the way."""

    dataset_hash: str
    base: str
    tokenizer: str  # fingerprint of the base's tokenizer, template and configuration
    max_length: int
    splits: dict[str, Counted]
    rows: dict[str, int]  # per split, as they stand in the files
    left_out: tuple[LeftOut, ...]  # the first LISTED
    cut: tuple[Cut, ...]  # the first LISTED
    findings: tuple[Finding, ...]
    packing: Packing
    longest: int  # tokens of the longest row of train, split, left out or not
    vocabulary: int  # of the base, as are the next two
    hidden_size: int
    layers: int
    seconds: float  # it took
    by_language: dict[str, int] = {}  # loss tokens of train
    all_left_out: dict[str, int] = {}  # per split, listed or not; a part of a row counts as one
    all_cut: int = 0

    @property
    def train(self) -> Counted:
        """The split that is trained on."""
        return self.splits.get("train", Counted())

    @property
    def number_left_out(self) -> int:
        """Rows, and parts of rows, that are not trained on, over all splits."""
        return sum(self.all_left_out.values())

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What forbids training unless it is allowed by name."""
        return tuple(item for item in self.findings if item.severity == "error")


def save(path: Path, audited: Audited) -> None:
    """Write an audit."""
    atomic.write_bytes(path, msgspec.json.format(msgspec.json.encode(audited)))


def load(path: Path) -> Audited:
    """Read an audit. Raises BadInput."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Audited)
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(f"cannot read the audit: {error}", where=str(path)) from error
