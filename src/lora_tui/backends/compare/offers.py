"""What an hour of each GPU costs at a provider: asked live where a key is set, else from the price table."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from lora_tui.backends.compare import gpus
from lora_tui.backends.compare.figure import LIVE, TABLE, Figure, span
from lora_tui.backends.compare.gpus import Gpu
from lora_tui.backends.compare.prices import Prices
from lora_tui.workspace.errors import LoraTuiError

_PATIENCE = 1  # a comparison does not wait for a provider that does not answer


class Priced(msgspec.Struct, frozen=True):
    """One kind of GPU and what an hour of one costs."""

    gpu: Gpu
    price: Figure
    offers: int = 0  # that there are now; 0: nobody was asked


def listed(table: Prices, provider: str) -> list[Priced]:
    """The rows of the price table."""
    found = []
    for row in table.rental:
        kind = gpus.named(row.gpu)
        if row.provider != provider or kind is None:
            continue
        said = f"{row.gpu}: {span(*row.price)} USD an hour {row.cited}"
        low, high = row.price
        price = Figure(low=low, high=high, unit="USD/h", source=TABLE, as_of=row.as_of, steps=(said,))
        found.append(Priced(kind, price))
    return found


def live(provider: str, disk_gb: int, memory_gb: float) -> list[Priced]:
    """What is offered now with that much memory, disk included: each kind's ten cheapest. Raises LoraTuiError."""
    from lora_tui.backends.renting import provider as renting

    wanted = renting.Wanted(disk_gb=disk_gb, memory_gb=memory_gb)
    found = renting.provider(provider, patience=_PATIENCE).offers(wanted)
    by_kind: dict[str, list[float]] = {}
    for offer in found:
        kind = gpus.named(offer.gpu)
        if kind is not None and offer.gpus >= 1:
            by_kind.setdefault(kind.name, []).append(offer.price_per_hour / offer.gpus)
    return [_priced(name, sorted(prices)[:10]) for name, prices in by_kind.items()]


def _priced(name: str, prices: Sequence[float]) -> Priced:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    kind = gpus.named(name)
    assert kind is not None
    cheapest = f"in {cheapest_of(len(prices))} now ({day})"
    said = f"{name}: {span(prices[0], prices[-1])} USD an hour with the disk {cheapest}"
    price = Figure(low=prices[0], high=prices[-1], unit="USD/h", source=LIVE, as_of=day, steps=(said,))
    return Priced(kind, price, len(prices))


def cheapest_of(offers: int) -> str:
    """How many of the cheapest, in words."""
    return f"the {offers} cheapest offers" if offers > 1 else "the cheapest offer"


def offered(table: Prices, provider: str, *, ask: bool, memory_gb: float = 0.0) -> tuple[list[Priced], str]:
    """The kinds of GPU, and why they are not live (empty: they are, or nobody wanted that)."""
    if not ask:
        return listed(table, provider), ""
    try:
        found = live(provider, table.formula.disk_gb, memory_gb)
    except LoraTuiError as error:
        return listed(table, provider), f"not live: {error.what}"
    return (found, "") if found else (listed(table, provider), "not live: nothing is offered now")
