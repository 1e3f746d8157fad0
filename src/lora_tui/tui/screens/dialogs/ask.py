"""One line of text, with a proposal."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from lora_tui.tui.safe_text import plain
from lora_tui.tui.screens.dialogs.dialog import Dialog


class AskDialog(Dialog[str]):
    """Results in what was typed, None when closed."""

    DEFAULT_CSS = """
    AskDialog .dialog { width: 64; }
    AskDialog Input { margin: 1 0 0 0; }
    """

    def __init__(self, title: str, question: str, proposal: str = "", *, may_be_empty: bool = False) -> None:
        super().__init__()
        self._may_be_empty = may_be_empty
        self._title = title
        self._question = question
        self._proposal = proposal

    def compose(self) -> ComposeResult:
        """The question over the line."""
        answer = Input(self._proposal, compact=True)
        answer.cursor_blink = False
        box = Vertical(Static(Content(plain(self._question))), answer, classes="dialog")
        box.border_title = self._title
        box.border_subtitle = "enter accept · esc close"
        yield box

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Done, when something stands there."""
        if message.value.strip() or self._may_be_empty:
            self.dismiss(message.value.strip())
