"""What every dialog shares: a frame, closing, copying."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from textual.screen import ModalScreen
from textual.worker import Worker

from lora_tui.tui.keymap import bindings

if TYPE_CHECKING:
    from lora_tui.tui.app import LoraTuiApp

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A modal screen that escape and q close with the result None."""

    BINDINGS = bindings("dialog")
    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        background: transparent;
        .dialog {
            width: auto;
            max-width: 90%;
            min-width: 40;
            height: auto;
            max-height: 90%;
            padding: 0 1;
            background: $surface;
            border: round $primary;
            border-title-color: $primary;
            border-subtitle-color: $muted;
        }
        .-error {
            border: round $error;
            border-title-color: $error;
        }
    }
    """

    def text(self) -> str:
        """What `c` copies."""
        return ""

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Textual tells this to the screen alone: hand it on to the app, which shows the errors."""
        cast("LoraTuiApp", self.app).on_worker_state_changed(event)

    def action_close(self) -> None:
        """Close without a result."""
        self.dismiss(None)

    def action_copy(self) -> None:
        """Copy the dialog's text to the clipboard of the person's terminal."""
        if found := self.text():
            self.app.copy_to_clipboard(found)
            self.notify("Sent to your terminal's clipboard.", timeout=2)
