"""A question with one way to agree."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import Static

from lora_tui.tui.safe_text import plain
from lora_tui.tui.screens.dialogs.dialog import Dialog


class ConfirmDialog(Dialog[bool]):
    """Results in True after enter, None when closed."""

    BINDINGS = [Binding("enter", "agree", show=False)]
    DEFAULT_CSS = """
    ConfirmDialog .dialog { width: 72; }
    """

    def __init__(self, title: str, text: str, verb: str) -> None:
        super().__init__()
        self._title, self._text, self._verb = title, text, verb

    def text(self) -> str:
        """The question."""
        return self._text

    def compose(self) -> ComposeResult:
        """The text in a frame."""
        box = Static(Content(plain(self._text)), classes="dialog")
        box.border_title = self._title
        box.border_subtitle = f"enter {self._verb} · esc close"
        yield box

    def action_agree(self) -> None:
        """Yes."""
        self.dismiss(True)
