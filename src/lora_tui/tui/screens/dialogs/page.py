"""A page of text to read."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from lora_tui.tui.safe_text import plain
from lora_tui.tui.screens.dialogs.dialog import Dialog


class PageDialog(Dialog[None]):
    """Shows text; results in nothing."""

    DEFAULT_CSS = """
    PageDialog .dialog { width: auto; max-width: 96%; overflow-x: auto; }
    PageDialog Static { width: auto; }
    """

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def text(self) -> str:
        """The page."""
        return self._text

    def compose(self) -> ComposeResult:
        """The text in a frame that scrolls."""
        box = VerticalScroll(Static(Content(plain(self._text))), classes="dialog")
        box.border_title = self._title
        box.border_subtitle = "c copy · esc close"
        yield box
