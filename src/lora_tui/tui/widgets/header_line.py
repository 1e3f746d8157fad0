"""The top line: every screen with its key, the current one marked."""

from __future__ import annotations

from rich.segment import Segment
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from lora_tui.tui.stages import STAGES


class HeaderLine(Widget):
    """One line. A click on a name goes there."""

    COMPONENT_CLASSES = {"header-line--current"}
    DEFAULT_CSS = """
    HeaderLine .header-line--current { color: $primary; text-style: bold reverse; }
    """

    def __init__(self, current: str) -> None:
        super().__init__()
        self._pieces: list[tuple[str, str]] = [("", " lora-tui ")]  # (screen or '', text)
        for item in STAGES:
            named = f"{item.key} {item.title}" if item.key else item.title
            self._pieces += [("", " "), (item.name, item.title if item.name == current else named), ("", " ")]
        self._current = current

    def render_line(self, y: int) -> Strip:
        """The line."""
        base, marked = self.rich_style, self.get_component_rich_style("header-line--current")
        segments: list[Segment] = []
        pieces = self._fitting()
        hot = [place for place, (name, _) in enumerate(pieces) if name == self._current]
        for place, (_, text) in enumerate(pieces):
            beside = any(abs(place - one) <= 1 for one in hot)
            segments.append(Segment(text, marked if beside else base))
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _fitting(self) -> list[tuple[str, str]]:
        """What is shown: every screen, and before them the app's name where there is room for it."""
        return self._pieces if sum(len(text) for _, text in self._pieces) <= self.size.width else self._pieces[1:]

    async def on_click(self, event: events.Click) -> None:
        """Go to the name under the pointer."""
        end = 0
        for name, text in self._fitting():
            end += len(text)
            if event.x < end:
                if name:
                    await self.app.run_action(f"app.go('{name}')")
                return
