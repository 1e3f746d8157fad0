"""Giving a machine back until its provider says that it is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

from lora_tui.backends.renting.provider import Provider
from lora_tui.backends.renting.rest import Refused
from lora_tui.workspace.errors import LoraTuiError

PATIENCE_SECONDS = 180.0  # for which it is asked to be gone, over and over
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0

BY_HAND = {
    "runpod": "https://console.runpod.io/pods",
    "vast": "https://cloud.vast.ai/instances/",
}


def is_gone(provider: Provider, identity: str) -> bool:
    """Whether the provider says so twice: one that was just rented is not always found by its id."""
    return provider.look(identity) is None and all(machine.id != identity for machine in provider.all())


def give_back(
    provider: Provider,
    identity: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """End the machine and ask until it is gone. Raises LoraTuiError, with what to do, where that stays unconfirmed."""
    end, pause = clock() + seconds, _FIRST_PAUSE
    why = "it is still there"
    while True:
        try:
            provider.end(identity)
            if is_gone(provider, identity):
                return
        except LoraTuiError as error:
            why = error.what
            if isinstance(error, Refused) and error.for_good:
                break
        if clock() >= end:
            break
        sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    raise LoraTuiError(
        f"machine {identity} may still cost money: that it is gone is not confirmed ({why})",
        where=provider.name,
        fix=f"End it: lora-tui rented end {identity}, or by hand at {BY_HAND[provider.name]}",
    )
