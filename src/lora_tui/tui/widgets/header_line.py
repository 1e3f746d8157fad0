"""The top line: every screen with its key, the current one marked."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.widget import Widget

from lora_tui.tui.stages import STAGES


class HeaderLine(Widget):
    """One line. A click on a name goes there."""

    COMPONENT_CLASSES = {"header-line--current"}
    DEFAULT_CSS = """
    HeaderLine .header-line--current { color: $foreground; text-style: bold reverse; }
    """

    def __init__(self, current: str) -> None:
        super().__init__()
        self._current = current

    def _pieces(self) -> list[tuple[str, str]]:
        """(screen name, text) in order; a name of '' belongs to no screen."""
        pieces = [("", " lora-tui  ")]
        for item in STAGES:
            pieces.append((item.name, f"{item.key} {item.title}" if item.key else item.title))
            pieces.append(("", "  "))
        return pieces

    def render(self) -> Content:
        """The line."""
        parts: list[Content] = []
        for name, text in self._pieces():
            if name and name == self._current:
                parts.append(Content.styled(f" {text.split()[-1]} ", self.get_visual_style("header-line--current")))
            else:
                parts.append(Content(text))
        return Content.assemble(*parts)

    async def on_click(self, event: events.Click) -> None:
        """Find the name under the pointer."""
        x = 0
        for name, text in self._pieces():
            width = len(text) if name != self._current else len(text.split()[-1]) + 2
            if x <= event.x < x + width and name and name != self._current:
                await self.app.run_action(f"app.go('{name}')")
                return
            x += width
