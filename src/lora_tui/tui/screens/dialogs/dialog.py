"""What every dialog shares: a frame, closing, copying."""

from __future__ import annotations

from typing import TypeVar

from textual.screen import ModalScreen

from lora_tui.tui.keymap import bindings

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A modal screen that escape and q close with the result None."""

    BINDINGS = bindings("dialog")

    def text(self) -> str:
        """What `c` copies."""
        return ""

    def action_close(self) -> None:
        """Close without a result."""
        self.dismiss(None)

    def action_copy(self) -> None:
        """Copy the dialog's text to the clipboard of the person's terminal."""
        if found := self.text():
            self.app.copy_to_clipboard(found)
            self.notify("Sent to your terminal's clipboard.", timeout=2)
