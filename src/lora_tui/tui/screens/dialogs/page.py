"""A page of text that takes a moment to write."""

from __future__ import annotations

from collections.abc import Callable

from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from lora_tui.tui.safe_text import plain
from lora_tui.tui.screens.dialogs.dialog import Dialog


class PageDialog(Dialog[None]):
    """Shows what a worker writes, its frame at once; results in nothing."""

    DEFAULT_CSS = """
    PageDialog .dialog { width: auto; max-width: 96%; overflow-x: auto; }
    PageDialog Static { width: auto; }
    """

    class Written(Message):
        """The worker has the text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, title: str, write: Callable[[], str]) -> None:
        super().__init__()
        self._title, self._write = title, write
        self._text = ""

    def text(self) -> str:
        """The page."""
        return self._text

    def compose(self) -> ComposeResult:
        """The text in a frame that scrolls."""
        box = VerticalScroll(Static("Reading …", markup=False), classes="dialog")
        box.border_title = self._title
        box.border_subtitle = "c copy · esc close"
        yield box

    def on_mount(self) -> None:
        """Write it off the event loop."""
        self._work()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A page that could not be written makes room for the reason."""
        if event.state is WorkerState.ERROR:
            self.dismiss(None)
        super().on_worker_state_changed(event)

    @work(thread=True, exit_on_error=False)
    def _work(self) -> None:
        self.post_message(self.Written(self._write()))

    def on_page_dialog_written(self, message: Written) -> None:
        """Show it."""
        self._text = message.text
        self.query_one(Static).update(Content(plain(message.text)))
