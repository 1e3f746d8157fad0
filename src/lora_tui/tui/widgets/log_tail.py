"""The last lines of something that goes on writing; only lines that changed are sent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from lora_tui.tui.safe_text import fit, plain

_READ = 64 * 1024  # bytes looked at, from the end


class LogTail(Widget):
    """Shows as many of the last lines as it has room for."""

    DEFAULT_CSS = """
    LogTail { height: 1fr; min-height: 1; color: $muted; text-style: $muted-style; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[str] = []
        self._shown: list[str] = []

    def show(self, lines: Sequence[str]) -> None:
        """Show the end of these lines (foreign text is fine)."""
        self._lines = [plain(line).replace("\n", " ").rstrip() for line in lines[-500:]]
        self._update()

    def show_file(self, path: Path) -> None:
        """Show the end of a file; a file that is not there is empty. A line rewritten with \\r shows its last state."""
        self.show(last_lines(path))

    def on_resize(self, event: events.Resize) -> None:
        """Show as many as there is room for now."""
        self._shown = []
        self._update()

    def _update(self) -> None:
        height = self.size.height
        if not height:
            return
        wanted = self._lines[-height:]
        wanted += [""] * (height - len(wanted))
        if len(self._shown) != height:
            self._shown = wanted
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(self._shown, wanted, strict=True)):
            if old != new:
                self._shown[y] = new
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """One line."""
        text = self._shown[y] if y < len(self._shown) else ""
        return Strip([Segment(fit(text, self.size.width), self.rich_style)])


def last_lines(path: Path, limit: int = _READ) -> list[str]:
    """The last complete or growing lines of a text file, at most `limit` bytes of it."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - limit))
            text = file.read(limit).decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n") if line.strip()]
