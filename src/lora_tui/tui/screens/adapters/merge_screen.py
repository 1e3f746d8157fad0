"""Merging the marked adapters: the form, and what it would give, planned while it is filled in."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.message import Message
from textual.timer import Timer

from lora_tui.jobs import supervisor
from lora_tui.jobs.merging import Recipe
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.keymap import bindings
from lora_tui.tui.screens.adapters.merge_form import MergeForm
from lora_tui.tui.screens.adapters.merge_lines import plan_lines, problem_lines
from lora_tui.tui.screens.adapters.shelf import Item
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.live_lines import LiveLines
from lora_tui.tui.widgets.transcript import Transcript
from lora_tui.workspace.errors import BadInput, LoraTuiError

if TYPE_CHECKING:
    from lora_tui.adapters.merging.merge import Advance
    from lora_tui.adapters.merging.plan import Plan
    from lora_tui.workspace.layout import Workspace

_REST = 0.3  # seconds without a key before it is planned


class _Unwanted(Exception):
    """Something else is wanted by now."""


class MergeScreen(Stage):
    """Plans one wish at a time; a newer one ends it. Posts nothing: the run it starts is found by Adapters."""

    NAME = "adapters"
    PLACE = "merge"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("merge")

    class Looking(Message):
        """How many modules were looked at."""

        def __init__(self, recipe: Recipe, done: int, total: int) -> None:
            super().__init__()
            self.recipe, self.done, self.total = recipe, done, total

        def can_replace(self, message: Message) -> bool:
            """Only the latest counts."""
            return isinstance(message, MergeScreen.Looking)

    class Planned(Message):
        """What it would give, or why it cannot be; neither: nobody wanted it any more."""

        def __init__(self, recipe: Recipe, plan: Plan | None, seconds: float, error: LoraTuiError | None) -> None:
            super().__init__()
            self.recipe, self.plan, self.seconds, self.error = recipe, plan, seconds, error

    class Started(Message):
        """The merge works, or could not be started (None)."""

        def __init__(self, run: Run | None) -> None:
            super().__init__()
            self.run = run

    def __init__(self, items: Sequence[Item]) -> None:
        super().__init__()
        self._labels = tuple(item.label for item in items)
        self._unwanted = threading.Event()
        self._planning: Recipe | None = None
        self._planned: Recipe | None = None
        self._resting: Timer | None = None
        self._starting = False

    def body(self) -> ComposeResult:
        """The form over its plan, or beside it."""
        yield LiveLines(id="notice")
        yield MergeForm(self._labels)
        yield Transcript(id="plan")

    def on_mount(self) -> None:
        """Plan what is proposed."""
        self._wish()

    def on_unmount(self) -> None:
        """End what works for this screen."""
        self._unwanted.set()

    # ---- planning

    def on_merge_form_changed(self, message: MergeForm.Changed) -> None:
        """Plan it in a moment."""
        self._unwanted.set()
        self._planned = None
        self._say("looking at every module …", "accent")
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_REST, self._wish)

    def _wish(self) -> None:
        """Plan what is typed; while another plan is being made, that one is ended first."""
        try:
            recipe = self.query_one(MergeForm).recipe()
        except LoraTuiError as error:
            self._refuse(error)
            return
        if self._planning is None and recipe != self._planned:
            self._planning, self._unwanted = recipe, threading.Event()
            self._plan(recipe, self._unwanted)

    @work(thread=True, exit_on_error=False, group="plan")
    def _plan(self, recipe: Recipe, unwanted: threading.Event) -> None:
        made: Plan | None = None
        problem: LoraTuiError | None = LoraTuiError("the plan could not be made")
        began = time.monotonic()

        def advance(done: int, total: int) -> None:
            if unwanted.is_set():
                raise _Unwanted
            self.post_message(self.Looking(recipe, done, total))

        try:
            made = _planned(self.shell.workspace, self._labels, recipe, advance)
            problem = None
        except _Unwanted:
            problem = None
        except LoraTuiError as error:
            problem = error
        finally:
            self.post_message(self.Planned(recipe, made, time.monotonic() - began, problem))

    def on_merge_screen_looking(self, message: Looking) -> None:
        """Say how far it is, where that takes a while."""
        if message.recipe == self._planning and not self._starting and message.done % 16 == 0:
            self._say(f"looking at every module: {message.done} of {message.total} …", "accent")

    def on_merge_screen_planned(self, message: Planned) -> None:
        """Show it, unless something else is wanted by now; then plan that."""
        self._planning = None
        if self._unwanted.is_set():
            self._wish()
        elif message.error is not None:
            self._refuse(message.error)
        elif message.plan is not None:
            self._planned = message.recipe
            self._say("ctrl+s merges; the result is a new version, and nothing points to it", "muted")
            lines = partial(plan_lines, message.plan, message.seconds)
            self.query_one("#plan", Transcript).show_lines(lines)

    def _refuse(self, error: LoraTuiError) -> None:
        self._planned = None
        self._say("", "")
        self.query_one("#plan", Transcript).show_lines(partial(problem_lines, error))

    def _say(self, text: str, tone: str) -> None:
        self.query_one("#notice", LiveLines).show(lambda width: [[(text, tone)]])

    # ---- what keys do

    def action_leave(self) -> None:
        """Back to the versions."""
        self.dismiss()

    def action_start(self) -> None:
        """Start the merge; Adapters shows how far it is."""
        if self._starting:
            return
        form = self.query_one(MergeForm)
        recipe = form.recipe()
        if recipe != self._planned:
            raise BadInput("the plan of this is not there", fix="Wait until it is shown, or mend what it says.")
        self._starting = True
        self._say("starting …", "accent")
        self._start(recipe, form.name_typed)

    @work(thread=True, exit_on_error=False, group="start")
    def _start(self, recipe: Recipe, name: str) -> None:
        from lora_tui.adapters.merging import start

        run: Run | None = None
        try:
            workspace = self.shell.workspace
            made = start.create(workspace, start.sources_of(workspace, self._labels), recipe, name=name)
            supervisor.start(made)
            run = made
        finally:
            self.post_message(self.Started(run))

    def on_merge_screen_started(self, message: Started) -> None:
        """Done here."""
        self._starting = False
        if message.run is not None:
            self.dismiss()
        else:
            self._say("", "")


def _planned(workspace: Workspace, labels: Sequence[str], recipe: Recipe, advance: Advance) -> Plan:
    """Look at every module of the adapters. Raises BadInput where they cannot be merged like this."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: more only wait on small matrices
    from lora_tui.adapters.merging import plan, start
    from lora_tui.adapters.merging.sources import opened

    with opened(start.sources_of(workspace, labels)) as found:
        return plan.plan(found, recipe, advance)
