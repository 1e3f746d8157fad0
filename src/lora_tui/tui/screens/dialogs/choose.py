"""One of several, by arrow keys or typing nothing more than enter."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from lora_tui.tui.safe_text import plain
from lora_tui.tui.screens.dialogs.dialog import Dialog

_FRAME = 2  # lines


class ChooseDialog(Dialog[str]):
    """Results in the value that was chosen, None when closed."""

    BINDINGS = [
        Binding("j", "app.simulate_key('down')", show=False),
        Binding("k", "app.simulate_key('up')", show=False),
    ]
    DEFAULT_CSS = """
    ChooseDialog .dialog { width: 80; }
    ChooseDialog OptionList, ChooseDialog OptionList:focus {
        border: none; padding: 0; background: $surface;
    }
    ChooseDialog Static { margin-bottom: 1; }
    """

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], now: str = "", *, above: str = "") -> None:
        """`choices` are (value, text); `now` is the value that holds; `above` is a text over them."""
        super().__init__()
        self._above = above
        self._title = title
        self._choices = choices
        self._now = now

    def compose(self) -> ComposeResult:
        """The list with the present choice highlighted."""
        options = OptionList(*(Option(Content(plain(text))) for _, text in self._choices))
        above = [Static(Content(plain(self._above)))] if self._above else []
        box = Vertical(*above, options, classes="dialog")
        box.border_title = self._title
        box.border_subtitle = "enter choose · esc close"
        yield box
        values = [value for value, _ in self._choices]
        options.highlighted = values.index(self._now) if self._now in values else 0

    def on_resize(self) -> None:
        """Leave the list what the text above it does not take, so that its last line can be reached."""
        above = self._above.count("\n") + 2 if self._above else 0
        self.query_one(OptionList).styles.max_height = max(3, self.size.height * 9 // 10 - _FRAME - above)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Done."""
        self.dismiss(self._choices[message.option_index][0])
