"""Verify: start a comparison, follow it, read it."""

from __future__ import annotations

import os
from functools import partial

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Verify
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.keymap import bindings
from lora_tui.tui.messages import ComparisonWanted, RunChosen
from lora_tui.tui.safe_text import moment, one_line
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.verify import proposal
from lora_tui.tui.screens.verify.answer_pane import AnswerPane
from lora_tui.tui.screens.verify.comparison import Comparison, Following, of_report
from lora_tui.tui.screens.verify.prompt_rows import HEADING, PromptRows
from lora_tui.tui.screens.verify.proposal import Possible, Proposal
from lora_tui.tui.screens.verify.summary import proposal_lines, summary_lines
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.live_lines import LiveLines
from lora_tui.tui.widgets.virtual_list import VirtualList
from lora_tui.tui.wording import endpoint_name
from lora_tui.verify import run as verification
from lora_tui.verify.endpoints import check_name
from lora_tui.workspace.errors import BadInput, LoraTuiError

_ANOTHER = "another"  # the choice that asks for an endpoint by name
_EMPTY = "Nothing compared yet.\ns asks every prompt of the suite of both sides and shows the answers here."


class VerifyScreen(Stage):
    """Owns what is proposed and what is shown. It ticks only while it is shown and the comparison runs."""

    NAME = "verify"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("verify")

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

    class Started(Message):
        """A comparison works, or could not be started (None)."""

        def __init__(self, run: Run | None) -> None:
            super().__init__()
            self.run = run

    def __init__(self) -> None:
        super().__init__()
        self._possible: Possible | None = None
        self._proposal = Proposal()
        self._following: Following | None = None
        self._comparison: Comparison | None = None
        self._rows: PromptRows | None = None
        self._wanted = ""  # the run another screen asked for
        self._timer: Timer | None = None
        self._looking = False
        self._starting = False

    def body(self) -> ComposeResult:
        """Proposal, summary, prompts, answers."""
        yield LiveLines(id="proposal")
        yield Static(_EMPTY, id="empty", markup=False)
        with Vertical(id="comparison"):
            yield LiveLines(id="summary")
            yield Static(HEADING, id="heading", markup=False)
            yield VirtualList(id="prompts")
            yield LiveLines(id="prompt")
            with Horizontal(id="answers"):
                yield AnswerPane("baseline", id="baseline")
                yield AnswerPane("fine-tune", id="tuned")

    def on_mount(self) -> None:
        """Begin with nothing."""
        self.add_class("-nothing")
        self._list.focus()

    @property
    def _list(self) -> VirtualList:
        return self.query_one("#prompts", VirtualList)

    # ---- reading

    def on_screen_resume(self) -> None:
        """Shown: read what can be chosen, and follow what runs."""
        self.call_after_refresh(self._read)
        self._tick()

    def on_screen_suspend(self) -> None:
        """Not shown: do nothing at all."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    @work(thread=True, exclusive=True, exit_on_error=False, group="read")
    def _read(self, adapter: str = "") -> None:
        self.post_message(self.Read(proposal.read(self.shell.workspace, adapter), adapter))

    def on_verify_screen_read(self, message: Read) -> None:
        """Propose; show the comparison that was asked for, else the newest."""
        first = self._possible is None
        new_adapter = self._possible is not None and self._possible.endpoints != message.possible.endpoints
        self._possible = message.possible
        if first or message.adapter or new_adapter:
            self._proposal = message.possible.proposal
        self._show_proposal()
        if self._wanted:
            wanted, self._wanted = self._wanted, ""
            self._open(wanted)
        elif self._following is None and self._comparison is None:
            if message.possible.runs:
                self._open(message.possible.runs[0].id)
            elif message.possible.reports:
                self._open(message.possible.reports[0].id)

    def _show_proposal(self) -> None:
        self.query_one("#proposal", LiveLines).show(partial(proposal_lines, self._proposal))

    def _open(self, identity: str) -> None:
        """Show a comparison: followed from its run, or as its report where the run is gone."""
        if self._possible is None:
            return
        for run in self._possible.runs:
            if run.id == identity:
                self._follow(run)
        for found in self._possible.reports:
            if found.id == identity:
                self._following = None
                self._show(of_report(found))

    def _follow(self, run: Run) -> None:
        if self._following is None or self._following.run.id != run.id:
            self._following = Following(self.shell.workspace, run)
            self._rows = None
        self._tick()

    def _tick(self) -> None:
        if self._following is None or self._looking or not self.is_current:
            return
        self._looking = True
        self._look(self._following)

    @work(thread=True, exit_on_error=False, group="look")
    def _look(self, following: Following) -> None:
        found: Comparison | None = None
        try:
            found = following.look()
        finally:
            self.post_message(self.Looked(found))

    def on_verify_screen_looked(self, message: Looked) -> None:
        """Show what changed; look again soon while it runs."""
        self._looking = False
        found, following = message.comparison, self._following
        if found is None or following is None:
            return
        if found.id != following.run.id:
            self._tick()
            return
        self._show(found)
        if found.state == "running" and self.is_current:
            pause = 2.0 if os.environ.get("SSH_CONNECTION") else 0.5
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(pause, self._tick)

    # ---- showing

    def _show(self, found: Comparison) -> None:
        other = self._comparison is None or self._comparison.id != found.id
        self._comparison = found
        self.remove_class("-nothing")
        self.query_one("#summary", LiveLines).show(partial(summary_lines, found))
        rows = PromptRows(found.prompts)
        changed = self._rows.changed(rows) if self._rows is not None and not other else None
        if self._rows is not None and changed is not None:
            self._rows.prompts = rows.prompts
            for index in changed:
                self._list.refresh_row(index)
        else:
            self._rows = rows
            self._list.show(rows)
        self._show_prompt()

    def _show_prompt(self) -> None:
        found = self._comparison
        if found is None or self._list.cursor >= len(found.prompts):
            return
        prompt = found.prompts[self._list.cursor]
        text = one_line(prompt.prompt)
        self.query_one("#prompt", LiveLines).show(lambda width: [[("you ", "accent"), (text, "")]])
        self.query_one("#baseline", AnswerPane).show(found.baseline, prompt.number, prompt.baseline)
        self.query_one("#tuned", AnswerPane).show(found.tuned, prompt.number, prompt.tuned)

    @on(VirtualList.Moved, "#prompts")
    def _moved(self) -> None:
        self._show_prompt()

    def on_run_chosen(self, message: RunChosen) -> None:
        """Another screen wants this comparison shown."""
        self._wanted = message.run
        self._read()

    def on_comparison_wanted(self, message: ComparisonWanted) -> None:
        """Another screen proposes this adapter."""
        self._read(message.adapter)

    # ---- what keys do

    def action_choose_suite(self) -> None:
        """Choose the suite."""
        if self._possible is not None:
            choices = [(name, name) for name in self._possible.suites]
            if not choices:
                raise BadInput("there is no suite yet", fix="Put one into the workspace's profiles/suites folder.")
            self.app.push_screen(ChooseDialog("Suite", choices, self._proposal.suite), partial(self._set, "suite"))

    def action_choose_side(self, side: str) -> None:
        """Choose the baseline or the fine-tune."""
        if self._possible is not None:
            choices = [(name, f"{endpoint_name(name)}   {name}") for name in self._possible.endpoints]
            choices.append((_ANOTHER, "another: base:PATH, openai:URL#MODEL …"))
            title = "Baseline" if side == "baseline" else "Fine-tune"
            now = getattr(self._proposal, side)
            self.app.push_screen(ChooseDialog(title, choices, now), partial(self._set, side))

    def _set(self, part: str, value: str | None) -> None:
        if value == _ANOTHER:
            question = "base:PATH, adapter:NAME@VERSION or openai:URL#MODEL"
            self.app.push_screen(AskDialog("Endpoint", question), partial(self._set, part))
        elif value:
            if part != "suite":
                try:
                    check_name(self.shell.workspace, value)
                except LoraTuiError as error:
                    self.shell.show_error(error)
                    return
            changes = {
                "suite": self._proposal.suite,
                "baseline": self._proposal.baseline,
                "tuned": self._proposal.tuned,
            }
            self._proposal = Proposal(**{**changes, part: value}, max_tokens=self._proposal.max_tokens)
            self._show_proposal()

    def action_open_earlier(self) -> None:
        """Choose among what was compared before."""
        if self._possible is None or not (self._possible.runs or self._possible.reports):
            raise BadInput("nothing was compared yet", fix="Start with s.")
        choices = [(run.id, f"{moment(run.file.created)}  {_short(run)}") for run in self._possible.runs]
        choices += [
            (item.id, f"{moment(item.created)}  {item.suite}: {endpoint_name(item.tuned)}")
            for item in self._possible.reports
        ]
        now = self._comparison.id if self._comparison is not None else ""
        self.app.push_screen(ChooseDialog("Comparisons", choices, now), self._opened)

    def _opened(self, chosen: str | None) -> None:
        if chosen:
            self._open(chosen)

    def action_other_side(self) -> None:
        """At 80 columns, the other side's answer."""
        self.toggle_class("-baseline")

    def action_scroll_answers(self, lines: int) -> None:
        """Scroll both answers."""
        for pane in self.query(AnswerPane):
            pane.scroll_text(lines)

    def action_stop(self) -> None:
        """Stop after the present answer."""
        if self._following is None:
            raise BadInput("nothing is being compared")
        supervisor.stop(self._following.run)

    def action_start(self) -> None:
        """Start what is proposed, or go on with it where it was interrupted."""
        if self._starting:
            return
        if not self._proposal.complete:
            raise BadInput(
                "suite, baseline and fine-tune are not all chosen",
                fix="Choose with c, b and t; an adapter comes from Train (F4).",
            )
        shown = self._comparison
        if shown is not None and shown.state == "running":
            raise BadInput("a comparison is going on", fix="Wait for it, or stop it with S.")
        self._starting = True
        again = self._following.run if self._following is not None and self._interrupted(self._following.run) else None
        self._start(self._proposal, again)

    def _interrupted(self, run: Run) -> bool:
        job, wanted = run.file.job, self._proposal
        state = self._comparison.state if self._comparison is not None else ""
        same = isinstance(job, Verify) and (job.baseline, job.tuned) == (wanted.baseline, wanted.tuned)
        suite = self._comparison.suite if self._comparison is not None else ""
        return state in ("stopped", "failed") and same and suite == wanted.suite

    @work(thread=True, exit_on_error=False, group="start")
    def _start(self, wanted: Proposal, again: Run | None) -> None:
        run: Run | None = None
        try:
            made = again or verification.create(
                self.shell.workspace, wanted.suite, wanted.baseline, wanted.tuned, wanted.max_tokens
            )
            supervisor.start(made)
            run = made
        finally:
            self.post_message(self.Started(run))

    def on_verify_screen_started(self, message: Started) -> None:
        """Follow it."""
        self._starting = False
        if message.run is not None:
            self._wanted = message.run.id
            self._follow(message.run)
            self._read()


def _short(run: Run) -> str:
    job = run.file.job
    assert isinstance(job, Verify)
    return f"{run.file.title.partition(':')[0]}: {endpoint_name(job.tuned)} against {endpoint_name(job.baseline)}"
