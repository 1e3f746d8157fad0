"""A place that was found but cannot be read: a failure in the report, beside what could be read."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

from lora_tui.sources.registry import Opened, Preview
from lora_tui.workspace.errors import SourceError


class Unread:
    """A store that only says why it is none."""

    def __init__(self, error: SourceError) -> None:
        self.error = error
        self.where = error.where

    def preview(self) -> Preview:
        """Nobody knows."""
        return Preview(None, 0)

    def reading(self) -> AbstractContextManager[Opened]:
        """Raises the SourceError."""
        raise self.error


def closed(denied: Iterable[OSError]) -> list[Unread]:
    """One for each folder that could not be entered; one that is not there is none."""
    return [Unread(closed_folder(error)) for error in denied if not isinstance(error, FileNotFoundError)]


def closed_folder(error: OSError) -> SourceError:
    """What to say about a place that the system does not let us look into."""
    return SourceError(
        f"this cannot be read: {error.strerror}",
        where=str(error.filename or ""),
        fix="Check its permissions, or run lora-tui as the user whose history it is.",
    )
