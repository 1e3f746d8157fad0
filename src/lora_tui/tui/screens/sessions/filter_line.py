"""The line above the list: the filter with its keys, and where the cursor stands."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content
from textual.widget import Widget

from lora_tui.curation.orders import WORDS
from lora_tui.tui.keymap import ACTIONS, keys_of
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.screens.sessions.filters import View


class FilterLine(Widget):
    """Shows a View."""

    COMPONENT_CLASSES = {"filter-line--key", "filter-line--on"}
    DEFAULT_CSS = """
    FilterLine {
        height: 1; width: 1fr; color: $muted; text-style: $muted-style;
        & .filter-line--key { color: $primary; text-style: none; }
        & .filter-line--on { color: $accent; text-style: bold; }
    }
    """

    def __init__(self, keymap: Mapping[str, str]) -> None:
        super().__init__()
        self._keys = {action.id: keys_of(action, keymap)[0] for action in ACTIONS}
        self._view = View()
        self._back = ""
        self._queue: tuple[str, str] | None = None

    def show(self, view: View, back: str = "") -> None:
        """Show another filter; `back` is what esc returns to."""
        self._view, self._back, self._queue = view, back, None
        self.refresh()

    def show_queue(self, name: str, words: str) -> None:
        """Show how far a queue is, instead of a filter."""
        if self._queue != (name, words):
            self._queue = (name, words)
            self.refresh()

    def render(self) -> Content:
        """Key and value of each facet; a search and an order where they are set."""
        key, on = self.get_visual_style("filter-line--key"), self.get_visual_style("filter-line--on")
        parts: list[Content] = [Content(" ")]
        if self._queue is not None:
            name, said = self._queue
            queue_key = Content.styled(self._keys["sessions.queue"], key)
            return Content.assemble(" ", queue_key, " ", Content.styled(one_line(name), on), f"  {said}")
        words = self._view.words()
        if self._view.filter.text:
            words.insert(0, ("sessions.search", f"“{one_line(self._view.filter.text)}”", True))
        if self._back:
            words.insert(0, ("sessions.clear", f"back to {self._back}", True))
        if self._view.order != "recent":
            words.append(("sessions.order", WORDS[self._view.order], True))
        room = self.size.width - 1
        while sum(len(self._keys[action]) + len(value) + 3 for action, value, _ in words) > room:
            idle = [word for word in words if not word[2]]
            if not idle:
                break
            words.remove(idle[-1])  # what narrows the list is shown before what could
        for action, value, narrows in words:
            parts += [
                Content.styled(self._keys[action], key),
                Content(" "),
                Content.styled(value, on) if narrows else Content(value),
                Content("  "),
            ]
        return Content.assemble(*parts)


class Position(Widget):
    """`12 of 1,284`, right-aligned."""

    DEFAULT_CSS = """
    Position { height: 1; width: 20; color: $muted; text-style: $muted-style; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._text = ""

    def show(self, index: int, total: int) -> None:
        """The cursor is on row `index` of `total`."""
        text = f"{index + 1:,} of {total:,}" if total else "nothing found"
        if text != self._text:
            self._text = text
            self.refresh()

    def render(self) -> Content:
        """The text."""
        return Content(fit(f"{self._text} ", self.size.width, right=True))
