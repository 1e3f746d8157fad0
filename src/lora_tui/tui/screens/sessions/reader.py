"""The pane beside the list: the cursor's example, or what was recorded of it beside what it was edited to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

from textual import work
from textual.message import Message
from textual.worker import Worker

from lora_tui.curation import reading
from lora_tui.curation.reading import Example
from lora_tui.curation.weights import weights
from lora_tui.sources.model import Message as ChatMessage
from lora_tui.tui.screens.sessions.evidence import evidence_lines
from lora_tui.tui.widgets.comparison_lines import compared
from lora_tui.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from lora_tui.tui.app import LoraTuiApp


class Reader(Transcript):
    """Reads examples in a worker; posts Opened when the one wanted last is there, shown or not."""

    class Opened(Message):
        """An example was read, and what was recorded of it before it was edited."""

        def __init__(self, example: Example, recorded: Sequence[ChatMessage]) -> None:
            super().__init__()
            self.example = example
            self.recorded = recorded

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._wanted: int | None = None
        self._shown: tuple[int, bool] | None = None  # the example, and whether beside what was recorded
        self.comparing = False
        self.words = ""  # searched for, and marked
        self.reasons: Mapping[int, str] = {}  # why a queue proposes an example

    @property
    def shell(self) -> LoraTuiApp:
        """The app, with its workspace."""
        return cast("LoraTuiApp", self.app)

    def open(self, identity: int) -> None:
        """Read this example; one wanted before it is not shown any more."""
        self._wanted = identity
        self._read(identity)

    @work(thread=True, exclusive=True, exit_on_error=False)
    def _read(self, identity: int) -> None:
        found = reading.example(self.shell.workspace, identity)
        recorded = reading.recorded(self.shell.workspace, identity) if found.row.edited else found.messages
        self.post_message(self.Opened(found, recorded))

    def on_reader_opened(self, message: Opened) -> None:
        """Show it where there is room."""
        found = message.example
        beside = self.comparing and found.row.edited
        stay = self._shown == (found.row.id, beside)
        if found.row.id != self._wanted:
            message.stop()
        if found.row.id != self._wanted or not self.display:
            return
        self._shown = (found.row.id, beside)
        if beside:
            self.show_lines(lambda width, _: compared(message.recorded, found.messages, width), stay=stay)
        else:
            learned = weights(found.messages)
            above = partial(evidence_lines, found, reason=self.reasons.get(found.row.id, ""))
            self.show(found.messages, above, learned, words=self.words, stay=stay)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Textual tells this to the widget alone: hand it on to the app, which shows the errors."""
        self.shell.on_worker_state_changed(event)
