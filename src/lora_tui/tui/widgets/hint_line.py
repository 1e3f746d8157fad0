"""The bottom line: at most seven keys that matter on this screen."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content
from textual.widget import Widget

from lora_tui.tui.keymap import actions, keys_of

_MOST = 7


class HintLine(Widget):
    """One line of key and word, as many as fit."""

    COMPONENT_CLASSES = {"hint-line--key"}
    DEFAULT_CSS = """
    HintLine .hint-line--key { color: $primary; text-style: bold; }
    """

    def __init__(self, place: str, keymap: Mapping[str, str]) -> None:
        super().__init__()
        own = [action for action in actions(place) if action.hint]
        shared = [action for action in actions("app") if action.hint]
        self._hints = [(keys_of(action, keymap)[0], action.label) for action in [*own[: _MOST - len(shared)], *shared]]

    def render(self) -> Content:
        """The line."""
        style = self.get_visual_style("hint-line--key")
        parts: list[Content] = []
        room = self.size.width
        for key, label in self._hints:
            room -= len(key) + len(label) + 4
            if room < 0:
                break
            parts += [Content(" "), Content.styled(key, style), Content(f" {label}  ")]
        return Content.assemble(*parts)
