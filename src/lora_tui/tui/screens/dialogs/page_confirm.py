"""A long text to agree to, as a difference that is to be written."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from lora_tui.tui.safe_text import plain
from lora_tui.tui.screens.dialogs.dialog import Dialog


class PageConfirmDialog(Dialog[bool]):
    """Shows the text in a frame that scrolls; results in True after enter, None when closed."""

    BINDINGS = [Binding("enter", "agree", show=False)]
    DEFAULT_CSS = """
    PageConfirmDialog .dialog { width: auto; max-width: 96%; overflow-x: auto; }
    PageConfirmDialog Static { width: auto; }
    """

    def __init__(self, title: str, text: str, verb: str) -> None:
        super().__init__()
        self._title, self._text, self._verb = title, text, verb

    def text(self) -> str:
        """The page."""
        return self._text

    def compose(self) -> ComposeResult:
        """The text, lines of a difference in their colours."""
        lines = [
            Content.styled(line, _style(line)) if _style(line) else Content(line)
            for line in plain(self._text).split("\n")
        ]
        box = VerticalScroll(Static(Content("\n").join(lines)), classes="dialog")
        box.border_title = self._title
        box.border_subtitle = f"enter {self._verb} · c copy · esc close"
        yield box

    def action_agree(self) -> None:
        """Yes."""
        self.dismiss(True)


def _style(line: str) -> str:
    if line.startswith(("+++", "---", "@@")):
        return "bold"
    return "$success" if line.startswith("+") else "$error" if line.startswith("-") else ""
