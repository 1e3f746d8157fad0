"""What would be read, before it is read."""

from __future__ import annotations

import os

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from lora_tui.tui.safe_text import plain
from lora_tui.tui.screens.dialogs.dialog import Dialog

_SHOWN = 10  # histories


class IngestDialog(Dialog[list[str]]):
    """Results in the arguments of `lora-tui`, None when closed."""

    DEFAULT_CSS = """
    IngestDialog {
        .dialog { width: 76; }
        Input { margin-top: 1; border: none; height: 1; padding: 0 1; background: $panel; }
    }
    """

    class Found(Message):
        """A worker has looked for histories."""

        def __init__(self, lines: list[str], any_found: bool) -> None:
            super().__init__()
            self.lines = lines
            self.any_found = any_found

    def compose(self) -> ComposeResult:
        """The files found, and room for another path."""
        path = Input(placeholder="or another database, file or folder", compact=True)
        path.cursor_blink = False
        with Vertical(classes="dialog") as box:
            yield Static("Looking …", id="found", markup=False)
            yield path
        box.border_title = "Read your agent's history"
        box.border_subtitle = "enter read · esc close"

    def on_mount(self) -> None:
        """Look for histories off the event loop."""
        self.query_one(Input).focus()
        self._look()

    @work(thread=True, exit_on_error=False)
    def _look(self) -> None:
        from lora_tui.sources.discover import discover

        found = discover()
        if not found.found:
            lines = ["No history was found on this machine:", "", *(f"  {one.what}" for one in found.missing)]
            self.post_message(self.Found(lines, False))
            return
        lines = ["Sessions on this machine, opened read-only:", ""]
        lines += [f"{place.source:<11} {place.amount:>9}  {place.shown}" for place in found.found[:_SHOWN]]
        if len(found.found) > _SHOWN:
            lines.append(f"… and {len(found.found) - _SHOWN} more")
        self.post_message(self.Found(lines, True))

    def on_ingest_dialog_found(self, message: Found) -> None:
        """Show them."""
        self._any_found = message.any_found
        self.query_one("#found", Static).update(Content(plain("\n".join(message.lines))))

    _any_found = False

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Read what was found, or the path that was typed."""
        typed = message.value.strip()
        if typed:
            self.dismiss(["ingest", "--path", os.path.expanduser(typed)])
        elif self._any_found:
            self.dismiss(["ingest", "--all", "--yes"])
