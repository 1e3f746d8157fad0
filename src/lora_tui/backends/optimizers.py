"""How much an optimizer keeps for each trained weight, by the names that transformers gives them."""

from __future__ import annotations

_BLOCK = 256  # weights that share a scale in bitsandbytes' 8-bit states
_EIGHT_BIT = 1 + 4 / _BLOCK

# State tensors per weight. Adafactor keeps a row and a column of each matrix, next to nothing.
_STATES = {
    "adafactor": 0.0,
    "sgd": 0.0,
    "adagrad": 1.0,
    "lion": 1.0,
    "rmsprop": 1.0,
    "ademamix": 3.0,
    "schedule_free_adamw": 2.0,
    "schedule_free_sgd": 1.0,
}


def state_bytes(optim: str, width: int) -> float:
    """Bytes per trained weight held in `width` bytes; paged ones are counted whole, wherever they lie.

    States are as wide as the weight; 8-bit ones take a byte and a share of their block's scale, and 4-bit ones half.
    bitsandbytes' others are fp32 whatever the weight is.
    """
    name = optim.removeprefix("paged_")
    family = next((key for key in sorted(_STATES, key=len, reverse=True) if name.startswith(key)), "adamw")
    states = _STATES.get(family, 2.0)
    if "8bit" in name:
        return states * _EIGHT_BIT
    if "4bit" in name:
        return states * 0.5625
    if name.endswith("32bit") or optim.startswith("paged_"):
        return states * 4
    return states * width


def paged(optim: str) -> bool:
    """Whether its state may move to the host's memory when the GPU's is full."""
    return optim.startswith("paged_")
