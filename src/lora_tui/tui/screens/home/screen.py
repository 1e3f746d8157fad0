"""Home: where things stand and what to do next."""

from __future__ import annotations

from textual import work
from textual.app import ComposeResult
from textual.message import Message

from lora_tui.tui.keymap import bindings
from lora_tui.tui.screens.home.next_step import next_step
from lora_tui.tui.screens.home.overview import Overview, read
from lora_tui.tui.screens.home.pipeline import Pipeline
from lora_tui.tui.stage import Stage


class HomeScreen(Stage):
    """The pipeline. It is read in a worker after the first frame, and again whenever the screen is shown."""

    NAME = "home"
    BINDINGS = bindings("home")

    class Read(Message):
        """A worker has read the workspace."""

        def __init__(self, overview: Overview) -> None:
            super().__init__()
            self.overview = overview

    def __init__(self) -> None:
        super().__init__()
        self._overview: Overview | None = None

    def body(self) -> ComposeResult:
        """The picture."""
        yield Pipeline()

    def on_screen_resume(self) -> None:
        """Shown, for the first time or again."""
        self.call_after_refresh(self._count)

    @work(thread=True, exclusive=True, exit_on_error=False, group="overview")
    def _count(self) -> None:
        self.post_message(self.Read(read(self.shell.workspace)))

    def on_home_screen_read(self, message: Read) -> None:
        """Show what was read."""
        self._overview = message.overview
        self.query_one(Pipeline).show(message.overview, self.shell.clock())

    async def action_next(self) -> None:
        """Go where the next step is."""
        if self._overview is not None and (screen := next_step(self._overview).screen):
            await self.app.run_action(f"app.go('{screen}')")

    def action_refresh(self) -> None:
        """Count again."""
        self._count()
