"""Suites: every suite of the workspace, to open one or begin one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from msgspec.structs import replace
from textual import on, work
from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from lora_tui.dataset import versions
from lora_tui.tui.keymap import bindings
from lora_tui.tui.safe_text import fit
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.dialogs.page import PageDialog
from lora_tui.tui.screens.suites.editor import SuiteScreen
from lora_tui.tui.screens.suites.rows import Listed, SuiteRows, named, read
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.virtual_list import VirtualList
from lora_tui.verify.suites import checking as suite_checking
from lora_tui.verify.suites import drafts as suite_drafts
from lora_tui.verify.suites import editing as suite_editing
from lora_tui.verify.suites.editing import Editing
from lora_tui.workspace.errors import BadInput

_HEADING = f" {fit('suite', 18)} {fit('prompts', 7, right=True)} {fit('from', 12)} about"
_MOST = 20  # test examples, where nothing is said


class SuitesScreen(Stage):
    """Owns the list; what is opened has its own screen."""

    NAME = "verify"
    PLACE = "suites"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("suites")

    class Named(Message):
        """These suites there are; the cursor belongs on the one called `name`."""

        def __init__(self, suites: list[Listed], name: str) -> None:
            super().__init__()
            self.suites = suites
            self.name = name

    class Read(Message):
        """One of them was read."""

        def __init__(self, item: Listed) -> None:
            super().__init__()
            self.item = item

    class Begun(Message):
        """A suite was written, to be opened."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self) -> None:
        super().__init__()
        self._rows = SuiteRows(())

    def body(self) -> ComposeResult:
        """The suites."""
        yield Static(_HEADING, id="heading", markup=False)
        yield VirtualList(id="suites")

    def on_mount(self) -> None:
        """The list has the keys."""
        self._list.focus()

    def on_screen_resume(self) -> None:
        """Shown: read them, for they may have been changed."""
        self._read(self._chosen_name())

    @property
    def _list(self) -> VirtualList:
        return self.query_one("#suites", VirtualList)

    def _chosen_name(self) -> str:
        return self._rows.suites[self._list.cursor].name if self._rows.suites else ""

    def _current(self) -> Listed:
        if not self._rows.suites:
            raise BadInput("the suites are still being read")
        return self._rows.suites[self._list.cursor]

    @work(thread=True, exclusive=True, exit_on_error=False, group="read")
    def _read(self, name: str) -> None:
        working = get_current_worker()
        found = named(self.shell.workspace)
        self.post_message(self.Named(found, name))
        for item in found:
            if working.is_cancelled:
                return
            self.post_message(self.Read(read(item)))

    def on_suites_screen_named(self, message: Named) -> None:
        """Show their names; what was read of them stands until it is read again."""
        before = {item.path: item for item in self._rows.suites}
        known = [
            replace(item, prompts=old.prompts, about=old.about) if (old := before.get(item.path)) else item
            for item in message.suites
        ]
        self._rows = SuiteRows(known)
        names = [item.name for item in known]
        self._list.show(self._rows, names.index(message.name) if message.name in names else 0)

    def on_suites_screen_read(self, message: Read) -> None:
        """Show what it says."""
        for place, item in enumerate(self._rows.suites):
            if item.path == message.item.path and item != message.item:
                self._rows.suites[place] = message.item
                self._list.refresh_row(place)

    @on(VirtualList.Clicked, "#suites")
    def _clicked(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        """Open the one under the cursor."""
        self._open(self._current().name)

    def _open(self, name: str) -> None:
        from lora_tui.verify.suites.suite import suite_path

        workspace = self.shell.workspace
        self.app.push_screen(SuiteScreen(Editing(workspace, suite_path(workspace, name))))

    def action_new(self) -> None:
        """Begin one with a commented skeleton."""
        self.ask(AskDialog("A new suite", "What is it called?"), self._begin)

    def _begin(self, name: str) -> None:
        suite_editing.begin(self.shell.workspace, name, suite_drafts.skeleton(name))
        self._open(name)

    def action_held(self) -> None:
        """Make one of a dataset's test examples."""
        found = versions.versions(self.shell.workspace)
        with_tests = [item for item in found if item.manifest.rows.get("test")]
        if not with_tests:
            raise BadInput(
                "no dataset has test examples", fix="Build one under Dataset: its test split is held out of training."
            )
        choices = [
            (item.label, f"{fit(item.label, 24)} {item.manifest.rows['test']:,} test examples") for item in with_tests
        ]
        self.ask(ChooseDialog("Of which dataset's test examples", choices), self._ask_many)

    def _ask_many(self, label: str) -> None:
        question = f"At most how many of the test examples of {label}?"
        self.ask(AskDialog("How many prompts", question, str(_MOST)), partial(self._ask_name, label))

    def _ask_name(self, label: str, count: str) -> None:
        if not count.isdecimal() or not int(count):
            raise BadInput(f"{count} is no number of prompts", fix="As in 20.")
        proposed = f"{label.replace('@', '-')}-held-out"

        def called(name: str) -> None:
            self._draw(label, int(count), name)

        self.ask(AskDialog("A new suite", "What is it called?", proposed), called)

    @work(thread=True, exclusive=True, exit_on_error=False, group="draw")
    def _draw(self, label: str, count: int, name: str) -> None:
        workspace = self.shell.workspace
        text = suite_drafts.from_test(versions.find(workspace, label), count)
        suite_editing.begin(workspace, name, text)
        self.post_message(self.Begun(name))

    def on_suites_screen_begun(self, message: Begun) -> None:
        """Open it."""
        if self.is_current:
            self._open(message.name)

    def action_check(self) -> None:
        """What is wrong with it, and what cannot be judged on this machine."""
        item = self._current()

        def write() -> str:
            found, findings = suite_checking.examined(item.path)
            first = [f"{len(found.cases)} prompts, no mistake"] if found is not None else []
            told = [f"{Path(one.where).name}: {one.what}" if one.level == "error" else one.what for one in findings]
            return "\n".join([*first, *told])

        self.app.push_screen(PageDialog(item.name, write))

    def action_leave(self) -> None:
        """Back."""
        self.dismiss()
