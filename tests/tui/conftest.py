"""The app on a small workspace with a clock that stands still."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import little_workspace
import pytest

from lora_tui.tui.app import LoraTuiApp
from lora_tui.workspace.layout import Workspace


@pytest.fixture
def little(workspace: Workspace) -> Workspace:
    """Nine sessions in five languages, three decisions."""
    little_workspace.fill(workspace)
    return workspace


@pytest.fixture
def open_app(little: Workspace, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LoraTuiApp]:
    """`open_app("sessions")` makes the app on the little workspace."""
    monkeypatch.setenv("USER", "someone")

    def make(start: str = "home", workspace: Workspace = little) -> LoraTuiApp:
        return LoraTuiApp(workspace, start, clock=lambda: little_workspace.NOW)

    return make


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of day as in Greenwich, wherever the tests run."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()
