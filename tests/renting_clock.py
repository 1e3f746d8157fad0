"""Time that passes when somebody waits, and a provider of the fakes as the program sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fakes.cloud import KEY, Cloud
from fakes.runpod import runpod
from fakes.vast import vast
from lora_tui.backends.renting.provider import Provider
from lora_tui.backends.renting.runpod import RunPod
from lora_tui.backends.renting.vast import Vast


class Clock:
    """Seconds that stand still until somebody sleeps; every look at them takes a hundredth of a second."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        self.now += 0.01
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let them pass."""
        self.now += seconds


@contextmanager
def rented_from(name: str, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Iterator[tuple[Cloud, Provider, Clock]]:
    """The fake of this provider with the environment that leads to it, ours that asks it, and the time of both."""
    clock = Clock()
    with (runpod if name == "runpod" else vast)(clock=clock, **settings) as cloud:
        monkeypatch.setenv(f"{name.upper()}_BASE_URL", cloud.url)
        monkeypatch.setenv(f"{name.upper()}_API_KEY", KEY)
        ours: Provider = RunPod(sleep=clock.sleep) if name == "runpod" else Vast(sleep=clock.sleep)
        yield cloud, ours, clock
