"""Why an example cannot become a row."""

from __future__ import annotations


class Unfit(Exception):
    """`reason` is counted in the manifest, `about` says which file or tool; both can be shown."""

    def __init__(self, reason: str, about: str = "") -> None:
        super().__init__(f"{reason}: {about}" if about else reason)
        self.reason = reason
        self.about = about


class NotReplayable(Unfit):
    """An edit does not fit what the conversation shows of the file."""


class NoCounterpart(Unfit):
    """A call cannot be said in the vocabulary it is asked for in."""
