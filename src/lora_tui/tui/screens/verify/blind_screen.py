"""Voting blind: two answers to a prompt, and nothing on the screen that says whose they are."""

from __future__ import annotations

import threading
from collections import deque
from functools import partial

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.worker import Worker, WorkerState

from lora_tui.tui.keymap import bindings
from lora_tui.tui.screens.verify import ballot
from lora_tui.tui.screens.verify.answer_pane import AnswerPane, Shown
from lora_tui.tui.screens.verify.ballot import Ballot
from lora_tui.tui.screens.verify.blind_lines import ballot_lines, result_lines
from lora_tui.tui.screens.verify.comparison import Reply
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.live_lines import LiveLines
from lora_tui.verify import votes
from lora_tui.verify.reports.report import Report
from lora_tui.verify.votes import Choice, Tally, Vote
from lora_tui.workspace.errors import BadInput

_SIGN = "*"  # marks differing words on both sides alike


class BlindScreen(Stage):
    """One pair after another. Votes are written in the order they were cast, off the event loop."""

    NAME = "verify"
    PLACE = "blind"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("blind")

    class Read(Message):
        """The ballot as it stands; `at`: the vote that was taken back."""

        def __init__(self, found: Ballot, at: Vote | None) -> None:
            super().__init__()
            self.found, self.at = found, at

    class NotWritten(Message):
        """A vote could not be written, or taken back."""

    class Counted(Message):
        """What all votes come to."""

        def __init__(self, tally: Tally) -> None:
            super().__init__()
            self.tally = tally

    def __init__(self, report: Report, voter: str) -> None:
        super().__init__()
        self._report, self._voter = report, voter
        self._ballot: Ballot | None = None
        self._place = 0
        self._waiting: deque[Vote | None] = deque()  # votes to be written; None: the last is taken back
        self._writing = threading.Lock()

    def body(self) -> ComposeResult:
        """How far one is and what was asked, over the answers; at the end what came of it."""
        yield LiveLines(id="progress")
        yield LiveLines(id="result")
        with Horizontal(id="pair"):
            yield AnswerPane(id="first")
            yield AnswerPane(id="second")

    def on_mount(self) -> None:
        """Read what was voted before."""
        self._read()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Where there is nothing to vote on, make room for the reason."""
        if event.state is WorkerState.ERROR and event.worker.group == "read":
            self.dismiss(None)
        super().on_worker_state_changed(event)

    @work(thread=True, exit_on_error=False, group="read")
    def _read(self) -> None:
        found = ballot.read(self.shell.workspace, self._report, self._voter)
        self.post_message(self.Read(found, None))

    def on_blind_screen_read(self, message: Read) -> None:
        """Go on with the first pair that is open, or with the one whose vote was taken back."""
        self._ballot = message.found
        at = message.at
        self._place = message.found.place_of(at) if at is not None else message.found.open(-1)
        self._show()

    def _show(self) -> None:
        found = self._ballot
        if found is None:
            return
        pair = found.pairs[self._place]
        self.query_one("#progress", LiveLines).show(partial(ballot_lines, found, self._place))
        texts = (pair.first_text, pair.second_text)
        for which, name in enumerate(("first", "second")):
            shown = Shown(
                title=f"the {name} answer",
                name="",
                number=self._place,
                sample=0,
                samples=1,
                reply=Reply("answered", texts[which]),
                beside=texts[1 - which],
                sign=_SIGN,
                judged=False,
            )
            self.query_one(f"#{name}", AnswerPane).show(shown)
        if found.complete:
            self._count()
        else:
            self.query_one("#result", LiveLines).show(lambda width: ())

    # ---- votes

    def action_vote(self, choice: Choice) -> None:
        """Vote on this pair, and go on to the next one that is open."""
        if self._ballot is None:
            return
        vote = votes.of(self._ballot.pairs[self._place], choice, self._voter)
        self._ballot = self._ballot.voted(self._place, choice)
        self._place = self._ballot.open(self._place)
        self._waiting.append(vote)
        self._write()
        self.remove_class("-second")
        self._show()

    def action_undo(self) -> None:
        """Take the last vote back and show its pair; until that is shown no key votes on another."""
        self._ballot = None
        self._waiting.append(None)
        self._write()

    @work(thread=True, exit_on_error=False, group="write")
    def _write(self) -> None:
        with self._writing:
            self._write_waiting()

    def _write_waiting(self) -> None:
        while self._waiting:
            vote = self._waiting.popleft()
            try:
                self._write_one(vote)
            except Exception:
                self.post_message(self.NotWritten())
                raise

    def _write_one(self, vote: Vote | None) -> None:
        workspace, report = self.shell.workspace, self._report
        if vote is not None:
            votes.cast(workspace, report.id, vote)
            return
        gone = votes.take_back(workspace, report.id, self._voter)
        if gone is None:
            raise BadInput("there is no vote of yours to take back")
        self.post_message(self.Read(ballot.read(workspace, report, self._voter), gone))

    def on_blind_screen_not_written(self) -> None:
        """Show what holds: its pair is open again."""
        self._read()

    @work(thread=True, exit_on_error=False, group="count")
    def _count(self) -> None:
        with self._writing:
            self._write_waiting()
            self.post_message(self.Counted(ballot.count(self.shell.workspace, self._report)))

    def on_blind_screen_counted(self, message: Counted) -> None:
        """Say what all votes come to."""
        found = self._ballot
        if found is not None and found.complete:
            self.query_one("#result", LiveLines).show(partial(result_lines, found, message.tally))

    # ---- other keys

    def action_go(self, by: int) -> None:
        """To the pair before or after, voted on or not."""
        if self._ballot is not None:
            self._place = (self._place + by) % len(self._ballot.pairs)
            self._show()

    def action_other(self) -> None:
        """At 80 columns, the other answer."""
        self.toggle_class("-second")

    def action_scroll_answers(self, lines: int) -> None:
        """Scroll both answers."""
        for pane in self.query(AnswerPane):
            pane.scroll_text(lines)

    def action_leave(self) -> None:
        """Back to the comparison; the votes are kept."""
        self.dismiss(None)
