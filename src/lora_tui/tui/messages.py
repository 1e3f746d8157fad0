"""What one screen asks of another: sent to the screen after the app has switched to it."""

from __future__ import annotations

from textual.message import Message


class RunChosen(Message):
    """To Monitor or Verify: show this run."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self.run = run


class ComparisonWanted(Message):
    """To Verify: propose this adapter against its own base, with its profile's suite."""

    def __init__(self, adapter: str) -> None:
        super().__init__()
        self.adapter = adapter
