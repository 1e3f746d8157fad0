"""Home: where things stand and what to do next."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.message import Message

from lora_tui.tui.keymap import bindings
from lora_tui.tui.messages import RunChosen
from lora_tui.tui.screens.home.next_step import next_step
from lora_tui.tui.screens.home.pipeline import Pipeline
from lora_tui.tui.stage import Stage

if TYPE_CHECKING:
    from lora_tui.tui.screens.home.overview import Overview


class HomeScreen(Stage):
    """The pipeline. It is read in a worker after the first frame, and again whenever the screen is shown."""

    NAME = "home"
    BINDINGS = bindings("home")

    class Read(Message):
        """A worker has read the workspace."""

        def __init__(self, overview: Overview) -> None:
            super().__init__()
            self.overview = overview

    class Cycling(Message):
        """A cycle works."""

        def __init__(self, run: str) -> None:
            super().__init__()
            self.run = run

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
        from lora_tui.tui.screens.home.overview import read  # the rooms it asks are not needed for the first frame

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

    def action_ingest(self) -> None:
        """Show what would be read, then read it."""
        from lora_tui.tui.screens.dialogs.ingest import IngestDialog

        self.app.push_screen(IngestDialog(), self._ingest)

    def _ingest(self, arguments: list[str] | None) -> None:
        if arguments is not None:
            self._command("Reading your agent's history", "ingest", arguments)

    def action_mine(self) -> None:
        """Ask for a repository, mine its history, and show what each filter left."""
        from lora_tui.tui.screens.dialogs.ask import AskDialog

        question = "The folder of a git repository. Its commits become examples; the repository is only read."
        self.app.push_screen(AskDialog("Mine a git history", question), self._mine)

    def _mine(self, folder: str | None) -> None:
        if folder:
            self._command("Mining a git history", "mine", ["mine", os.path.expanduser(folder)])

    def action_cycle(self) -> None:
        """Ask for a profile, start its cycle, or go on with one that was cut short, and watch it."""
        from lora_tui.tui.screens.dialogs.ask import AskDialog

        question = (
            "The profile. Its cycle reads what is new, builds the next dataset of what is accepted, trains on from the "
            "version in production, compares both, and promotes the new one only if every gate passes. What each step "
            "would do: lora-tui cycle PROFILE --dry-run"
        )
        proposal = (
            self._overview.production[0].partition("@")[0] if self._overview and self._overview.production else ""
        )
        self.ask(AskDialog("A cycle", question, proposal), self._start_cycle)

    def _start_cycle(self, profile: str) -> None:
        self._cycle(profile)

    @work(thread=True, exclusive=True, exit_on_error=False, group="cycle")
    def _cycle(self, profile: str) -> None:
        from lora_tui.cycle.starting import begin
        from lora_tui.jobs.job import Cycle

        run, _ = begin(self.shell.workspace, Cycle(profile=profile))
        self.post_message(self.Cycling(run.id))

    async def on_home_screen_cycling(self, message: Cycling) -> None:
        """Watch it."""
        await self.app.switch_mode("monitor")
        self.app.screen.post_message(RunChosen(message.run))

    def action_demo(self) -> None:
        """Run the whole loop on bundled sessions, in this workspace."""
        from lora_tui.tui.screens.dialogs.confirm import ConfirmDialog

        text = (
            "The demo reads bundled sessions, labels them, trains a tiny model and compares it with its baseline. "
            "No download and no GPU; about three minutes on two cores.\n\n"
            f"It works in this workspace: {self.shell.workspace.root}"
        )
        self.app.push_screen(ConfirmDialog("The whole loop, once", text, "run it"), self._demo)

    def _demo(self, agreed: bool | None) -> None:
        if agreed:
            self._command("The whole loop, once", "demo", ["demo", "--no-app"])

    def _command(self, title: str, name: str, arguments: list[str]) -> None:
        from lora_tui.tui.screens.dialogs.command import CommandDialog

        self.app.push_screen(CommandDialog(title, name, arguments, self.shell.workspace), self._done)

    def _done(self, _: bool | None) -> None:
        self._count()
