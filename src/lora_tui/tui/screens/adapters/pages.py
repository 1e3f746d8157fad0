"""What is read on a page of its own: what two versions differ in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lora_tui.adapters.difference import Changed, Difference, ModuleDifference, compare
from lora_tui.adapters.registry import Adapter
from lora_tui.tui.safe_text import fit, one_line

WIDTH = 72  # cells of a page in a window of 80 columns
_KEY, _VALUE, _NUMBER = 20, 24, 9


def difference(one: Adapter, other: Adapter) -> str:
    """Config, metadata and weights of two adapters. Raises BadInput where one cannot be read."""
    found = compare(one, other)
    lines = [f"{'':{_KEY}} {fit(one.label, _VALUE)} {fit(other.label, _VALUE)}".rstrip()]
    changed = [*found.config, *found.metadata]
    lines += _settings(changed) if changed else ["config and metadata are the same"]
    lines += ["", *_weights(found)]
    lines += ["", *(f"{one_line(said)}; the comparison leaves it out" for said in found.remarks)]
    return "\n".join(lines).rstrip()


def _settings(changed: Sequence[Changed]) -> Iterator[str]:
    for item in changed:
        yield f"{fit(item.key, _KEY)} {fit(_said(item.one), _VALUE)} {fit(_said(item.other), _VALUE)}".rstrip()


def _weights(found: Difference) -> Iterator[str]:
    if found.same_weights:
        yield "the weights are the same, byte by byte"
        return
    names = [*(item.module for item in found.modules), "ΔW of"]
    width = max(12, min(max(map(len, names)), WIDTH - 4 * (_NUMBER + 1)))
    heads = ("cosine", "distance", "norm", "other")
    yield fit("ΔW of", width) + "".join(f" {head:>{_NUMBER}}" for head in heads)
    for item in (found.total, *sorted(found.modules, key=_unlike)):
        numbers = (item.cosine, item.distance, item.norm, item.other_norm)
        yield _tail(item.module, width) + "".join(f" {_number(value):>{_NUMBER}}" for value in numbers)


def _unlike(item: ModuleDifference) -> tuple[bool, float]:
    """What is alike the least first; what one of them lacks last."""
    return (item.cosine is None, item.cosine or 0.0)


def _tail(name: str, width: int) -> str:
    return fit(name if len(name) <= width else "…" + name[1 - width :], width)


def _number(value: float | None) -> str:
    return "·" if value is None else f"{value:.3f}"


def _said(value: Any) -> str:
    if value is None:
        return "·"
    if isinstance(value, list | tuple):
        return one_line(" ".join(map(str, value)))
    return one_line(f"{value:g}" if isinstance(value, float) else str(value))
