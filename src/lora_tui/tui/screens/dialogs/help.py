"""The keys of the focused screen, from the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from lora_tui.tui.keymap import actions, keys_of
from lora_tui.tui.safe_text import fit
from lora_tui.tui.screens.dialogs.dialog import Dialog
from lora_tui.tui.widgets.wrap import wrap

if TYPE_CHECKING:
    from lora_tui.tui.app import LoraTuiApp

_KEYS = 13  # cells of the key column
_WIDTH = 72
_ROW = (
    "✓ accepted   ✗ rejected   · skipped   ! flagged   e edited",
    "language, request, source (wide); then how sure the rules are, “own”",
    "where you said the language; answers of the model; age",
)


class HelpDialog(Dialog[None]):
    """Lists what the keys do: on this screen, in the focused widget, everywhere."""

    DEFAULT_CSS = """
    HelpDialog .dialog { width: 78; max-width: 98%; }
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
        own = {key for action in actions(self._place) for key in keys_of(action, shell.keymap)}
        for place in (self._place, self._widget, "app"):
            found = actions(place) if place else []
            if not found:
                continue
            lines += [Content.styled(titles[place], "bold $primary")]
            for action in found:
                keys = "  ".join(key for key in keys_of(action, shell.keymap) if place != "app" or key not in own)
                text = action.help
                if action.id == "sessions.language1":
                    keys, text = "1–9", f"It is {', '.join(shell.config.languages[:9])}; go to the next."
                elif action.id.startswith("sessions.language") and action.id[-1].isdigit():
                    continue
                first, *rest = wrap(text, _WIDTH - _KEYS - 3)
                lines.append(Content(f"  {fit(keys, _KEYS)} {first}"))
                lines += [Content(f"  {'':{_KEYS}} {line}") for line in rest]
            lines.append(Content(""))
        if self._place == "sessions":
            lines += [Content.styled("In a row", "bold $primary"), *(Content(f"  {line}") for line in _ROW)]
            return lines
        return lines[:-1]
