"""Signals beside money: one that ends the process lets it give back first, and none breaks the giving back."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def ended_by(*numbers: signal.Signals) -> Iterator[None]:
    """These signals leave the block as SystemExit, where nothing else was made of them."""
    mine = [] if threading.current_thread() is not threading.main_thread() else numbers
    taken = [number for number in mine if signal.getsignal(number) == signal.SIG_DFL]

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    for number in taken:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """No signal that can be put off breaks the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
