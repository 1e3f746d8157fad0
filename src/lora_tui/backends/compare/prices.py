"""The price table: shipped as rules/prices.toml, and replaced by <workspace>/prices.toml where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lora_tui.backends.compare import gpus
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

FILE = "prices.toml"
TABLE = Path(__file__).parents[1] / "rules" / FILE

_MOST = 1e6  # USD; also what keeps infinity out
Price = Annotated[float, Meta(ge=0.0, le=_MOST)]
Hours = Annotated[float, Meta(ge=0.0, le=_MOST)]
Share = Annotated[float, Meta(gt=0.0, le=1.0)]
Size = Annotated[float, Meta(gt=0.0, le=_MOST)]
Range = tuple[float, float]
Provider = Literal["runpod", "vast"]


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every row has: the day it speaks of, who says so, and whether anybody checked it."""

    as_of: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    source: str
    verified: bool = False

    @property
    def cited(self) -> str:
        """Who says so and when, in brackets."""
        return f"({self.source}, {self.as_of}{'' if self.verified else ', unverified'})"


class Formula(Row, frozen=True):
    """What a reckoning assumes where nothing was measured."""

    setup_hours: tuple[Hours, Hours]
    mfu: tuple[Share, Share]
    bytes_per_token: Size
    bytes_per_token_spread: Annotated[float, Meta(ge=0.0, lt=1.0)]
    disk_gb: Annotated[int, Meta(ge=1)]


class Bracket(Row, frozen=True):
    """USD per million tokens for bases of up to so many billions of weights."""

    up_to: Size
    price: Price


class Endpoint(Row, frozen=True):
    """USD an hour for one GPU of a dedicated endpoint."""

    gpu: str
    memory_gb: Size
    price: Price


class Together(Row, frozen=True):
    """Together's prices."""

    minimum: Price = 0.0
    lora_sft: tuple[Bracket, ...] = ()
    endpoint: tuple[Endpoint, ...] = ()

    def bracket(self, billions: float) -> Bracket | None:
        """The row for a base of that size; None: larger than every row."""
        return next((row for row in sorted(self.lora_sft, key=lambda row: row.up_to) if billions <= row.up_to), None)


class Rental(Row, frozen=True):
    """USD an hour for one GPU of a provider, from its cheapest kind to its dearest."""

    provider: Provider
    gpu: str
    price: tuple[Price, Price]


class Beside(Row, frozen=True):
    """What a provider takes beside the GPU: USD per GB of disk and month, and per GB that leaves it."""

    provider: Provider
    disk_gb_month: Price = 0.0
    egress_gb: Price = 0.0


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole table."""

    formula: Formula
    together: Together
    rental: tuple[Rental, ...] = ()
    beside: tuple[Beside, ...] = ()

    def beside_of(self, provider: str) -> Beside | None:
        """The provider's row, if there is one."""
        return next((row for row in self.beside if row.provider == provider), None)


def prices(workspace: Workspace) -> Prices:
    """The workspace's table, else the shipped one. Raises BadInput with file, key and line of a mistake."""
    own = workspace.root / FILE
    path = own if own.is_file() else TABLE
    found = toml.load(path, Prices)
    for key, reason in _wrong(found):
        raise BadInput(f"{key}: {reason}", where=toml.place(path, key))
    return found


def _wrong(found: Prices) -> Iterator[tuple[str, str]]:
    """What no type says: a range the wrong way round, a GPU that nothing is known of."""
    ranges = {"formula.setup_hours": found.formula.setup_hours, "formula.mfu": found.formula.mfu}
    ranges |= {f"rental[{number}].price": row.price for number, row in enumerate(found.rental)}
    for key, (low, high) in ranges.items():
        if low > high:
            yield key, f"{low:g} to {high:g} is no range: the lower end comes first"
    for number, row in enumerate(found.rental):
        if gpus.named(row.gpu) is None:
            known = ", ".join(gpu.name for gpu in gpus.known())
            yield f"rental[{number}].gpu", f"no GPU is known by the name {row.gpu!r}; known: {known}"


def copied(workspace: Workspace) -> Path:
    """The workspace's own table, a copy of the shipped one where there was none yet."""
    own = workspace.root / FILE
    if not own.is_file():
        workspace.ensure()
        atomic.write_bytes(own, TABLE.read_bytes())
    return own
