"""What is added to train after the split must not repeat what was held out for test and validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lora_tui.dataset import twins
from lora_tui.dataset.model import Row


def repeating(held_out: Sequence[int], added: Sequence[int], read: Callable[[int], Row]) -> set[int]:
    """Those of `added` that are near-duplicates of a row held out (see twins.py); rows are named by their places.

    read: the row at a place.
    """
    if not held_out or not added:
        return set()
    places = [*held_out, *added]
    found = twins.pairs((read(place) for place in places), lambda at: read(places[at]))
    return {places[other] for one, other, _ in found if one < len(held_out) <= other}
