"""Verify: start a comparison, follow it, read it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual import work
from textual.message import Message

from lora_tui.jobs import supervisor
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.keymap import bindings
from lora_tui.tui.screens.dialogs.page import PageDialog
from lora_tui.tui.screens.verify import asking, tasks
from lora_tui.tui.screens.verify.about_text import about_text
from lora_tui.tui.screens.verify.blind_screen import BlindScreen
from lora_tui.tui.screens.verify.comparison import Comparison
from lora_tui.tui.screens.verify.following import Following
from lora_tui.tui.screens.verify.lessons_page import LessonsDialog
from lora_tui.tui.screens.verify.looking import Looking
from lora_tui.tui.screens.verify.tasks import Task
from lora_tui.verify.reports.report import Report
from lora_tui.workspace.errors import BadInput


class VerifyScreen(Looking):
    """What keys do to the comparison that is shown, and to the one that is proposed."""

    NAME = "verify"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("verify")

    class Done(Message):
        """A task is done, with the run that works now if there is one, or has failed: then there is none."""

        def __init__(self, run: Run | None) -> None:
            super().__init__()
            self.run = run

    class Written(Message):
        """A note was written."""

    def __init__(self) -> None:
        super().__init__()
        self._busy = False

    @property
    def _shown(self) -> Comparison:
        if self._board.found is None or self._looked_at is None:
            raise BadInput("nothing is shown yet", fix="Start with s, or open an earlier comparison with o.")
        return self._board.found

    def _prompt(self) -> int:
        """The number of the prompt under the cursor, from 1."""
        if self._board.prompt is None:
            raise BadInput("there is no prompt to do this with")
        return self._board.prompt.number

    def _reported(self) -> Report:
        if self._shown.free:
            raise BadInput("a free prompt has no report", fix="Open a comparison with o.")
        if self._shown.result is None and self._shown.state == "finished":
            raise BadInput(self._shown.failure, fix="s asks its suite anew; answers that were kept are taken again.")
        if self._shown.result is None:
            raise BadInput("this has no report yet", fix="Wait until every answer has come.")
        return self._shown.result

    def action_choose_suite(self) -> None:
        """Choose the suite."""
        self._when_read(lambda possible: asking.suite(self, possible, self._proposal, self._propose))

    def action_choose_side(self, side: str) -> None:
        """Choose the baseline or the fine-tune."""
        self._when_read(lambda possible: asking.side(self, possible, self._proposal, side, self._propose))

    def action_options(self) -> None:
        """Samples, temperature, gates, further endpoints."""
        self._when_read(lambda possible: asking.options(self, self._proposal, self._propose))

    def action_open_earlier(self) -> None:
        """Choose among what was compared before."""
        now = self._looked_at.id if self._looked_at else ""
        self._when_read(lambda possible: asking.earlier(self, possible, now, self._open))

    def action_leave_free(self) -> None:
        """From a free prompt back to the comparison that was shown before, else to the newest."""
        if self._possible is not None and self._looked_at is not None and self._looked_at.free:
            self._open(self._before or self._possible.newest_of_suite)

    def action_choose_language(self) -> None:
        """List one language, or all."""
        asking.language(self, self._board.found, self._board.language, self._board.list_language)

    def action_read(self) -> None:
        """Give the answers the window, or take it back."""
        self.toggle_class("-reading")
        self._board.show_whole(self.has_class("-reading"))

    def action_other_side(self) -> None:
        """The next side's answer."""
        self._board.answers.turn()

    def action_sample(self, by: int) -> None:
        """Another sample."""
        self._board.answers.step(by)

    def action_marks(self) -> None:
        """Mark the words that differ, or do not."""
        self._board.answers.mark()

    def action_scroll_answers(self, lines: int) -> None:
        """Scroll the answers."""
        self._board.answers.scroll_text(lines)

    def action_stop(self) -> None:
        """Stop after the answers that are under way."""
        if self._looked_at is None or self._looked_at.run is None:
            raise BadInput("nothing is being compared")
        supervisor.stop(self._looked_at.run)

    def action_start(self) -> None:
        """Start what is proposed, or go on with what is shown where it was interrupted."""
        self._may_work()
        run, found = self._looked_at.run if self._looked_at is not None else None, self._board.found
        if run is not None and found is not None and asking.can_go_on(run, found):
            asking.go_on(self, run, found, self._proposal, lambda on: self._start(run if on else None))
        else:
            self._start(None)

    def _start(self, again: Run | None) -> None:
        if again is None and not self._proposal.complete:
            raise BadInput(
                "suite, baseline and fine-tune are not all chosen",
                fix="Choose with c, b and t; an adapter comes from Train (F4).",
            )
        self._begin(partial(tasks.start, self.shell.workspace, self._proposal, again))

    def action_ask_free(self) -> None:
        """Ask both sides a prompt of one's own."""
        self._may_work()
        ask = partial(tasks.ask_free, self.shell.workspace, self._proposal)
        asking.free_prompt(self, self._proposal, lambda prompt: self._begin(partial(ask, prompt)))

    def action_ask_again(self) -> None:
        """Have the prompt under the cursor asked again."""
        self._may_work()
        run = self._looked_at.run if self._looked_at is not None else None
        if run is None:
            raise BadInput("the run of this report is gone", fix="s asks the whole suite.")
        asking.again(self, self._prompt(), lambda: self._begin(partial(tasks.ask_again, run, self._prompt() - 1)))

    def action_note(self) -> None:
        """Write a note on the prompt under the cursor."""
        report, number = self._reported(), self._prompt()
        write = partial(tasks.note, self.shell.workspace, report.id, self.shell.config.labeller, number - 1)
        now = self._shown.notes.get(number, "")
        asking.note(self, number, now, lambda text: self._write(partial(write, text)))

    def action_vote(self) -> None:
        """Vote on the answers blind."""
        self.app.push_screen(BlindScreen(self._reported(), self.shell.config.labeller))

    def action_lessons(self) -> None:
        """What training lacks for the prompt under the cursor."""
        report, number = self._reported(), self._prompt()
        self.app.push_screen(LessonsDialog(self.shell.workspace, report, number, self.shell.config.labeller))

    def action_about(self) -> None:
        """Everything the report says beside its answers."""
        write = partial(about_text, self._reported(), self._shown.voted)
        self.app.push_screen(PageDialog("The report", write))

    def _may_work(self) -> None:
        if self._board.found is not None and self._board.found.state == "running":
            raise BadInput("a comparison is going on", fix="Wait for it, or stop it with S.")

    def _begin(self, task: Task) -> None:
        if not self._busy:
            self._busy = True
            self._do(task)

    @work(thread=True, exit_on_error=False, group="task")
    def _do(self, task: Task) -> None:
        run: Run | None = None
        try:
            run = task()
        finally:
            self.post_message(self.Done(run))

    def _write(self, note: Callable[[], None]) -> None:
        self._do_write(note)

    @work(thread=True, exit_on_error=False, group="note")
    def _do_write(self, note: Callable[[], None]) -> None:
        note()
        self.post_message(self.Written())

    def on_verify_screen_written(self) -> None:
        """Show the note."""
        self._tick()

    def on_verify_screen_done(self, message: Done) -> None:
        """Follow what works now, and show what was written."""
        self._busy = False
        if message.run is not None:
            self._wanted = message.run.id
            self._look_at(Following(self.shell.workspace, message.run))
            self._read()
        self._tick()
