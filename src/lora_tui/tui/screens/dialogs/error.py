"""An error as a dialog: what, where, and what to do."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from lora_tui.tui.safe_text import plain
from lora_tui.tui.screens.dialogs.dialog import Dialog
from lora_tui.workspace.errors import LoraTuiError


class ErrorDialog(Dialog[None]):
    """Shows one LoraTuiError."""

    def __init__(self, error: LoraTuiError) -> None:
        super().__init__()
        self.error = error

    def text(self) -> str:
        """The error in full."""
        return str(self.error)

    def compose(self) -> ComposeResult:
        """Three short paragraphs in a red frame."""
        what = plain(self.error.what).rstrip(".")
        parts = [Content.styled(f"{what[:1].upper()}{what[1:]}.", "bold")]
        if self.error.where:
            parts.append(Content(plain(self.error.where)))
        if self.error.fix:
            parts.append(Content(plain(self.error.fix)))
        box = Static(Content("\n").join(parts), classes="dialog -error")
        box.border_title = "This did not work"
        box.border_subtitle = "c copy · esc close"
        yield box
