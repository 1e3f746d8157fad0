"""One endpoint opened and asked, as a verification does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lora_tui.verify.asking import Ended, Endpoint, Question
from lora_tui.verify.endpoints import Patience, opened
from lora_tui.workspace.layout import Workspace

SHORT = Patience(first=0.6, between=0.4, whole=2.0, look=2.0)


@asynccontextmanager
async def endpoint(workspace: Workspace, name: str, patience: Patience = SHORT) -> AsyncIterator[Endpoint]:
    """The endpoint of a name."""
    async with opened(workspace, [name], Path(workspace.root), patience=patience) as [found]:
        yield found


async def asked(one: Endpoint, prompt: str = "Hello", **more: int) -> tuple[str, Ended]:
    """The whole answer and its end."""
    text = ""
    async for piece in one.ask(Question(prompt, **more)):
        if isinstance(piece, Ended):
            return text, piece
        text += piece
    raise AssertionError("it ended without an Ended")
