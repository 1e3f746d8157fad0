"""A screen that looks at comparisons: it reads what there is, and follows the one that is shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from textual import events, work
from textual.app import ComposeResult
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from lora_tui.tui.messages import ComparisonWanted, RunChosen
from lora_tui.tui.screens.verify import proposal
from lora_tui.tui.screens.verify.board import Board
from lora_tui.tui.screens.verify.comparison import Comparison
from lora_tui.tui.screens.verify.following import Following, Lying
from lora_tui.tui.screens.verify.proposal import Possible, Proposal
from lora_tui.tui.screens.verify.summary import proposal_lines
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.live_lines import LiveLines
from lora_tui.workspace.errors import LoraTuiError

_EMPTY = "Nothing compared yet.\ns asks every prompt of the suite of both sides and shows the answers here."


class Looking(Stage):
    """Owns what is proposed and what is shown. It ticks only while it is shown and the comparison runs."""

    class Read(Message):
        """The workspace was read; `adapter` is the one that another screen asked for."""

        def __init__(self, possible: Possible, adapter: str) -> None:
            super().__init__()
            self.possible = possible
            self.adapter = adapter

    class Looked(Message):
        """A look at the comparison; None when it could not be read."""

        def __init__(self, comparison: Comparison | None) -> None:
            super().__init__()
            self.comparison = comparison

    def __init__(self) -> None:
        super().__init__()
        self._possible: Possible | None = None
        self._proposal = Proposal()
        self._looked_at: Following | Lying | None = None
        self._before = ""  # the comparison that a free prompt took the place of
        self._wanted = ""  # the comparison to open when the workspace is read
        self._then: Callable[[Possible], None] | None = None  # what a key waits to do until then
        self._timer: Timer | None = None
        self._looking = False

    def body(self) -> ComposeResult:
        """Proposal, summary, prompts, answers."""
        yield LiveLines(id="proposal")
        yield Static(_EMPTY, id="empty", markup=False)
        yield Board(id="board")

    def on_mount(self) -> None:
        """Begin with nothing."""
        self.add_class("-nothing")

    @property
    def _board(self) -> Board:
        return self.query_one(Board)

    # ---- reading

    def on_screen_resume(self) -> None:
        """Shown: read what can be chosen, and look at the comparison again."""
        self.call_after_refresh(self._read)
        self._tick()

    def on_screen_suspend(self) -> None:
        """Not shown: do nothing at all."""
        self._then = None
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    @work(thread=True, exclusive=True, exit_on_error=False, group="read")
    def _read(self, adapter: str = "") -> None:
        self.post_message(self.Read(proposal.read(self.shell.workspace, adapter), adapter))

    def on_looking_read(self, message: Read) -> None:
        """Propose; show the comparison that was asked for, else the newest."""
        before, self._possible = self._possible, message.possible
        if before is None or message.adapter or before.endpoints != message.possible.endpoints:
            self._propose(message.possible.proposal)
        if self._wanted or self._looked_at is None:
            wanted, self._wanted = self._wanted or message.possible.newest, ""
            self._open(wanted)
        then, self._then = self._then, None
        if then is not None and self.is_current:
            try:
                then(message.possible)
            except LoraTuiError as error:
                self.shell.show_error(error)

    def _when_read(self, then: Callable[[Possible], None]) -> None:
        """Do it with what can be chosen: at once, or as soon as that is read and nothing else was pressed."""
        if self._possible is None:
            self._then = then
        else:
            then(self._possible)

    def on_key(self, event: events.Key) -> None:
        """Another key than the one that waits: that one is dropped."""
        self._then = None

    def _propose(self, wanted: Proposal) -> None:
        self._proposal = wanted
        self.query_one("#proposal", LiveLines).show(partial(proposal_lines, wanted))

    def _open(self, identity: str) -> None:
        """Show a comparison: followed from its run, or as its report where the run is gone."""
        assert self._possible is not None
        run = next((item for item in self._possible.runs if item.id == identity), None)
        if run is not None:
            self._look_at(Following(self.shell.workspace, run))
        elif any(item.id == identity for item in self._possible.reports):
            self._look_at(Lying(self.shell.workspace, identity))

    def _look_at(self, wanted: Following | Lying) -> None:
        if self._looked_at is None or self._looked_at.id != wanted.id:
            if self._looked_at is not None and not self._looked_at.free:
                self._before = self._looked_at.id
            self._looked_at = wanted
            if wanted.run is not None:
                self._propose(proposal.like(wanted.run, self._proposal))
        self._tick()

    def _tick(self) -> None:
        if self._looked_at is None or self._looking or not self.is_current:
            return
        self._looking = True
        self._look(self._looked_at)

    @work(thread=True, exit_on_error=False, group="look")
    def _look(self, at: Following | Lying) -> None:
        found: Comparison | None = None
        try:
            found = at.look()
        finally:
            self.post_message(self.Looked(found))

    def on_looking_looked(self, message: Looked) -> None:
        """Show what changed; look again soon while it runs."""
        self._looking = False
        found = message.comparison
        if found is None or self._looked_at is None:
            return
        if found.id != self._looked_at.id:
            self._tick()
            return
        self.remove_class("-nothing")
        self._board.show(found)
        if found.state == "running" and self.is_current:
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(2.0 if os.environ.get("SSH_CONNECTION") else 1.0, self._tick)

    def on_run_chosen(self, message: RunChosen) -> None:
        """Another screen wants this comparison shown."""
        self._wanted = message.run
        self._read()

    def on_comparison_wanted(self, message: ComparisonWanted) -> None:
        """Another screen proposes this adapter."""
        self._read(message.adapter)
