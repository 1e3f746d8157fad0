"""Lines of a session file that cannot be understood: each is named, but a file without one good line only once."""

from __future__ import annotations

from pathlib import Path

from lora_tui.sources.registry import Quarantine, Quarantined

_HOPELESS = 100  # bad lines without a good one: this is something else


class BadLines:
    """Counts the good and the bad lines of one file, in the order of the file."""

    def __init__(self, path: Path, session: str, quarantine: Quarantine) -> None:
        """session: native id of the session that the file holds."""
        self._path = str(path)
        self._session = session
        self._quarantine = quarantine
        self._waiting: list[tuple[int, str]] = []  # until there is a good line
        self._any_good = False

    def good(self) -> None:
        """A line was understood."""
        if not self._any_good:
            self._any_good = True
            self._tell()

    def bad(self, number: int, reason: str) -> bool:
        """A line was not, and why; whether to go on reading."""
        self._waiting.append((number, reason))
        if self._any_good:
            self._tell()
        return len(self._waiting) < _HOPELESS

    def close(self) -> None:
        """The file is at its end, or was given up."""
        if self._waiting:
            number, reason = self._waiting[0]
            why = f"no line of it can be understood; line {number}: {reason}"
            self._quarantine(Quarantined(self._path, "session", self._session, why, self._session))

    def _tell(self) -> None:
        for number, reason in self._waiting:
            self._quarantine(Quarantined(self._path, "message", f"line {number}", reason, self._session))
        self._waiting = []
