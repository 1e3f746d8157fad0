"""What stands on the screen of an app under test, and waiting for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from textual.app import App


def text_of(app: App[Any]) -> str:
    """The screen as lines of text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in lines)


async def shown(app: App[Any], text: str, seconds: float = 5.0) -> str:
    """Wait until `text` stands on the screen; returns the whole screen."""
    await until(lambda: text in text_of(app), seconds, lambda: f"{text!r} never appeared:\n{text_of(app)}")
    return text_of(app)


async def until(holds: Callable[[], bool], seconds: float = 5.0, why: Callable[[], str] = lambda: "") -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, why()
        await asyncio.sleep(0.02)
