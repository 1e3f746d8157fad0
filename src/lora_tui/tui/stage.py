"""What every full screen shares: the top line with the screens, the bottom line with the keys, the size classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.worker import Worker

from lora_tui.tui.widgets.header_line import HeaderLine
from lora_tui.tui.widgets.hint_line import HintLine
from lora_tui.tui.widgets.too_small import TooSmall
from lora_tui.workspace.errors import LoraTuiError

if TYPE_CHECKING:
    from lora_tui.tui.app import LoraTuiApp

Answer = TypeVar("Answer")


class Stage(Screen[None]):
    """Base of the full screens. A subclass names itself, yields its widgets from `body`, and owns state and workers.

    Workers: `@work(thread=True, exit_on_error=False, …)`; they touch no widget and post messages, and the app shows
    their errors. Timers belong between `on_screen_resume` and `on_screen_suspend`: a hidden screen sends nothing.
    Size classes: `-narrow` below 110 columns, `-wide` from there.
    """

    NAME: ClassVar[str] = ""
    PLACE: ClassVar[str] = ""  # of its keys, where they are not those of NAME
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (110, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-tall")]

    @property
    def place(self) -> str:
        """Where its actions stand in the keymap."""
        return self.PLACE or self.NAME

    @property
    def shell(self) -> LoraTuiApp:
        """The app, with its workspace, config, keymap and clock."""
        return cast("LoraTuiApp", self.app)

    def compose(self) -> ComposeResult:
        """Top line, body, bottom line."""
        yield HeaderLine(self.NAME)
        with Vertical(id="body"):
            yield from self.body()
        yield HintLine(self.place, self.shell.keymap)
        yield TooSmall()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Textual tells this to the screen alone: hand it on to the app, which shows the errors."""
        self.shell.on_worker_state_changed(event)

    def ask(self, dialog: Screen[Answer], then: Callable[[Answer], None]) -> None:
        """Open a dialog; `then` gets what was answered, unless it was closed. Why it refuses that is shown."""

        def answered(answer: Answer | None) -> None:
            if answer is None:
                return
            try:
                then(answer)
            except LoraTuiError as error:
                self.shell.show_error(error)

        self.app.push_screen(dialog, answered)

    def tell(self, text: str) -> None:
        """A remark in the corner, instead of the one before: a pile of them would hide the rows."""
        self.app.clear_notifications()
        self.notify(text, timeout=4, markup=False)

    def body(self) -> ComposeResult:
        """The screen's own widgets."""
        raise NotImplementedError
