"""The keys of the focused screen, from the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from lora_tui.tui.keymap import actions, keys_of
from lora_tui.tui.screens.dialogs.dialog import Dialog

if TYPE_CHECKING:
    from lora_tui.tui.app import LoraTuiApp

_KEYS = 15  # cells of the key column


class HelpDialog(Dialog[None]):
    """Lists what the keys do: on this screen, in the focused widget, everywhere."""

    DEFAULT_CSS = """
    HelpDialog .dialog { width: 78; }
    """

    def __init__(self, place: str, focused: Widget | None) -> None:
        super().__init__()
        self._place = place
        self._widget = getattr(focused, "PLACE", "")

    def compose(self) -> ComposeResult:
        """One section per place."""
        box = VerticalScroll(Static(Content("\n").join(self._lines()), id="keys"), classes="dialog")
        box.border_title = "Keys"
        box.border_subtitle = "esc close"
        yield box

    def text(self) -> str:
        """All lines, for the clipboard."""
        return "\n".join(line.plain for line in self._lines())

    def _lines(self) -> list[Content]:
        shell = cast("LoraTuiApp", self.app)
        lines: list[Content] = []
        titles = {
            self._place: f"On {self._place.capitalize()}",
            self._widget: "In the list or text",
            "app": "Everywhere",
        }
        for place in (self._place, self._widget, "app"):
            found = actions(place) if place else []
            if not found:
                continue
            lines += [Content.styled(titles[place], "bold $primary")]
            for action in found:
                text = action.help
                if action.id.startswith("sessions.language") and action.id[-1].isdigit():
                    number = int(action.id[-1])
                    if number > len(shell.config.languages):
                        continue
                    text = f"It is {shell.config.languages[number - 1]}; go to the next."
                keys = "  ".join(keys_of(action, shell.keymap))
                lines.append(Content(f"  {keys:<{_KEYS}} {text}"))
            lines.append(Content(""))
        return lines[:-1]
