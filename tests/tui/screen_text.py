"""What a person sees of a running app, and waiting for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from textual.app import App


def text_of(app: App[None]) -> str:
    """The screen as text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in lines[: app.size.height])


async def shown(app: App[None], *texts: str, seconds: float = 15.0) -> str:
    """Wait until all of these stand on the screen; returns it."""
    await until(
        lambda: all(text in text_of(app) for text in texts), seconds, lambda: f"{texts} not shown:\n{text_of(app)}"
    )
    return text_of(app)


async def until(
    condition: Callable[[], bool], seconds: float = 15.0, what: Callable[[], str] = lambda: "it did not happen"
) -> None:
    """Wait until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what()
        await asyncio.sleep(0.05)
