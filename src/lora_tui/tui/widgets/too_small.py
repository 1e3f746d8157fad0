"""What stands instead of a screen in a terminal below 60×16."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget


class TooSmall(Widget):
    """A notice that names the size and what is needed; shown by the size classes of the screen."""

    def render(self) -> Content:
        """The notice."""
        size = self.app.size
        return Content(f"{size.width}×{size.height} is too small.\nlora-tui needs 60×16.")
