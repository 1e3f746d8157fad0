"""Version: every row of a dataset version, and what a model's tokenizer and template make of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.worker import get_current_worker

from lora_tui.backends import audits
from lora_tui.backends.counting import Cancelled
from lora_tui.dataset.model import Dataset
from lora_tui.jobs.audit import Audited
from lora_tui.jobs.token_view import View
from lora_tui.tui.keymap import bindings
from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.version import models
from lora_tui.tui.screens.version.about_lines import audit_line, listed_line
from lora_tui.tui.screens.version.audit_lines import audit_lines
from lora_tui.tui.screens.version.models import Choice
from lora_tui.tui.screens.version.reading import Read, Reading
from lora_tui.tui.screens.version.row_index import RowIndex
from lora_tui.tui.screens.version.row_lines import row_lines
from lora_tui.tui.screens.version.row_rows import VersionRowList
from lora_tui.tui.screens.version.shown import Shown, marks, numbers, told
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.conversation_lines import Line
from lora_tui.tui.widgets.live_lines import Line as LiveLine
from lora_tui.tui.widgets.live_lines import LiveLines
from lora_tui.tui.widgets.search_bar import SearchBar
from lora_tui.tui.widgets.token_lines import token_lines
from lora_tui.tui.widgets.transcript import Transcript
from lora_tui.tui.widgets.virtual_list import VirtualList
from lora_tui.workspace.errors import BadInput, LoraTuiError

_AUDIT = "audit"


class VersionScreen(Stage):
    """Owns the rows shown, the model they are looked at with, its audit and its resident tokenizer."""

    NAME = "dataset"
    PLACE = "version"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("version")

    class Indexed(Message):
        """The version's rows are found, and the models there are."""

        def __init__(self, index: RowIndex, choices: list[Choice]) -> None:
            super().__init__()
            self.index = index
            self.choices = choices

    class Listed(Message):
        """These rows are to be shown."""

        def __init__(self, shown: Shown, numbers: list[int]) -> None:
            super().__init__()
            self.shown = shown
            self.numbers = numbers

    class Known(Message):
        """Whether there is an audit for a model already."""

        def __init__(self, model: Choice | None, audited: Audited | None) -> None:
            super().__init__()
            self.model = model
            self.audited = audited

    class Opened(Message):
        """A row was read."""

        def __init__(self, read: Read) -> None:
            super().__init__()
            self.read = read

    class Auditing(Message):
        """How far the audit is; `audited` when it has ended."""

        def __init__(self, model: Choice, line: str, audited: Audited | None = None, done: bool = False) -> None:
            super().__init__()
            self.model = model
            self.line = line
            self.audited = audited
            self.done = done

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self.dataset = dataset
        self._index: RowIndex | None = None
        self._choices: list[Choice] = []
        self._model: Choice | None = None
        self._audited: Audited | None = None
        self._shown = Shown()
        self._pane = "row"  # or "tokens", or "audit"
        self._reading = Reading()
        self._stop: threading.Event | None = None  # of the audit under way
        self._progress = ""

    def body(self) -> ComposeResult:
        """What is shown of what, over the rows and the row."""
        yield LiveLines(id="about")
        yield SearchBar("words in the rows")
        with Vertical(id="browse"):
            yield VirtualList(id="rows")
            yield Transcript(id="row")

    def on_mount(self) -> None:
        """Find the rows."""
        self._list.focus()
        self._say()
        self._find()

    def on_unmount(self) -> None:
        """End what works for this screen."""
        if self._stop is not None:
            self._stop.set()
        self._reading.leave()

    @property
    def _list(self) -> VirtualList:
        return self.query_one("#rows", VirtualList)

    @property
    def _reader(self) -> Transcript:
        return self.query_one("#row", Transcript)

    # ---- finding rows

    @work(thread=True, exit_on_error=False, group="find")
    def _find(self) -> None:
        self.post_message(self.Indexed(RowIndex(self.dataset), models.choices(self.shell.workspace)))

    def on_version_screen_indexed(self, message: Indexed) -> None:
        """Show all rows; look at them with the profile the version was built for."""
        self._index = message.index
        self._choices = message.choices
        self._take(models.fitting(message.choices, self.dataset.manifest.profile))

    def _take(self, model: Choice | None) -> None:
        """Look at the version with this model from now on."""
        self._reading.leave(model)
        self._model = model
        self._audited = None
        self._know(model)

    @work(thread=True, exclusive=True, exit_on_error=False, group="know")
    def _know(self, model: Choice | None) -> None:
        found = None
        if model is not None:
            found = audits.cached(self.shell.workspace, self.dataset, model.base, model.profile)
        self.post_message(self.Known(model, found))

    def on_version_screen_known(self, message: Known) -> None:
        """What is known of it by this model; a finding of another model is no filter any more."""
        if message.model == self._model:
            self._audited = message.audited
            self._show(msgspec.structs.replace(self._shown, finding=""))

    def _show(self, shown: Shown) -> None:
        """List these rows."""
        self._narrow(shown)

    @work(thread=True, exclusive=True, exit_on_error=False, group="narrow")
    def _narrow(self, shown: Shown) -> None:
        if self._index is None:
            return
        working = get_current_worker()
        holding = self._index.holding(shown.words, lambda: working.is_cancelled) if shown.words.strip() else None
        found = numbers(self._index, shown, self._audited, holding)
        if not working.is_cancelled:
            self.post_message(self.Listed(shown, found))

    def on_version_screen_listed(self, message: Listed) -> None:
        """Show them; the cursor stays on its row where that is still listed."""
        if self._index is None:
            return
        before = self._number()
        self._shown = message.shown
        cursor = message.numbers.index(before) if before in message.numbers else 0
        self._list.show(VersionRowList(self._index, message.numbers, marks(self._audited)), cursor)
        self._say()
        if not message.numbers:
            self._reader.show_lines(lambda width, folded: iter([[("no rows to show", "muted")]]))

    def _number(self) -> int | None:
        source = self._list.source
        if isinstance(source, VersionRowList) and self._list.cursor < len(source):
            return source.numbers[self._list.cursor]
        return None

    def _say(self) -> None:
        self.query_one("#about", LiveLines).show(self._about)

    def _about(self, width: int) -> Sequence[LiveLine]:
        total = len(self._index) if self._index is not None else sum(self.dataset.manifest.rows.values())
        return [
            listed_line(self.dataset, len(self._list.source), total, self._shown),
            audit_line(self._model, self._audited, self._progress),
        ]

    # ---- the row

    @on(VirtualList.Moved, "#rows")
    def _moved(self) -> None:
        number = self._number()
        if number is not None and self._reader.display:
            self._open(number)

    @on(VirtualList.Clicked, "#rows")
    def _clicked(self) -> None:
        self.action_read()

    def _open(self, number: int) -> None:
        if self._pane == _AUDIT and self._audited is not None:
            return
        self._read(number, self._model if self._pane == "tokens" else None)

    @work(thread=True, exclusive=True, exit_on_error=False, group="row")
    def _read(self, number: int, model: Choice | None) -> None:
        if self._index is not None:
            working = get_current_worker()
            found = self._reading.read(self._index, number, model, lambda: working.is_cancelled)
            if found is not None:
                self.post_message(self.Opened(found))

    def on_version_screen_opened(self, message: Opened) -> None:
        """Show it, unless the cursor is on another row by now."""
        read = message.read
        if read.number != self._number() or not self._reader.display:
            return
        brief = self._index.brief(read.number) if self._index is not None else None
        if isinstance(read.row, str):
            text = read.row
            self._reader.show_lines(lambda width, folded: iter([[(text, "bad")]]))
        elif isinstance(read.view, View):
            self._reader.show_lines(partial(token_lines, read.view))
        elif read.view is not None:
            self._reader.show_lines(partial(_problem, read.view))
        elif brief is not None:
            self._reader.show_lines(partial(row_lines, read.row, brief.split, self._audited))

    # ---- the audit

    @work(thread=True, exit_on_error=False, group="audit")
    def _audit(self, model: Choice, stop: threading.Event) -> None:
        def tell(stage: str, done: int, total: int) -> None:
            self.post_message(self.Auditing(model, f"{stage} {done:,} of {total:,}" if total else stage))

        found: Audited | None = None
        try:
            found = audits.ensure(
                self.shell.workspace, self.dataset, model.base, model.profile, progress=tell, cancelled=stop.is_set
            )
        except Cancelled:
            pass
        finally:
            self.post_message(self.Auditing(model, "", found, done=True))

    def on_version_screen_auditing(self, message: Auditing) -> None:
        """Say how far it is; show what was found."""
        if message.done:
            self._stop = None
        self._progress = "" if message.done else message.line
        if message.audited is not None and self._model == message.model:
            self._audited = message.audited
            self._show_audit()
            self._show(self._shown)
        self._say()

    def _show_audit(self) -> None:
        if self._audited is not None:
            self._pane = _AUDIT
            self.add_class("-reading")
            self._reader.show_lines(partial(audit_lines, self._audited))

    # ---- what keys do

    def action_read(self) -> None:
        """Open the row under the cursor as a conversation; on an open one, close it."""
        if self.has_class("-reading") and self._pane == "row":
            self.remove_class("-reading")
            return
        self._pane = "row"
        self._open_pane()

    def action_tokens(self) -> None:
        """The row token by token, or as a conversation again."""
        if self._model is None:
            raise BadInput("there is no model to look at it with", fix="Choose one with m.")
        self._pane = "row" if self._pane == "tokens" else "tokens"
        self._open_pane()

    def _open_pane(self) -> None:
        self.add_class("-reading")
        if self._pane == "tokens":
            self._reader.show_lines(lambda width, folded: iter([[("reading the tokens …", "muted")]]))
        self.call_after_refresh(self._moved)

    def action_audit(self) -> None:
        """Show the audit; make it first where there is none."""
        if self._stop is not None:
            raise BadInput("an audit is under way", fix="S stops it.")
        if self._model is None:
            raise BadInput("there is no model to audit it for", fix="Choose one with m.")
        if self._audited is not None:
            self._show_audit()
            return
        self._stop = threading.Event()
        self._progress = "starting the audit"
        self._say()
        self._audit(self._model, self._stop)

    def action_stop(self) -> None:
        """Stop the audit."""
        if self._stop is None:
            raise BadInput("no audit is under way", fix="a starts one.")
        self._stop.set()
        self._progress = "stopping"
        self._say()

    def action_findings(self) -> None:
        """List the rows that one finding names."""
        if self._audited is None:
            raise BadInput("it has not been audited yet", fix="Press a first.")
        named = [item for item in self._audited.findings if item.rows]
        if not named:
            raise BadInput("nothing was found about any row", fix="Press a to read the audit.")
        choices = [("", "all rows"), *((item.code, told(item)) for item in named)]

        dialog = ChooseDialog("Rows that a finding names", choices, self._shown.finding)
        self.ask(dialog, lambda code: self._show(Shown(finding=code)))

    def action_next_finding(self) -> None:
        """Go to the next row that a finding names."""
        source = self._list.source
        if not isinstance(source, VersionRowList):
            return
        marked = marks(self._audited)
        here = self._list.cursor
        for place in chain(range(here + 1, len(source)), range(here + 1)):
            if source.index.ids[source.numbers[place]] in marked:
                self._list.cursor = place
                return
        raise BadInput("no row listed here is named by a finding")

    def action_model(self) -> None:
        """Choose the model to look with."""
        if self._stop is not None:
            raise BadInput("an audit is under way", fix="S stops it.")
        now = self._model.profile.name if self._model is not None else ""
        choices = [(item.profile.name, item.text) for item in self._choices]

        def chosen(name: str) -> None:
            found = next(item for item in self._choices if item.profile.name == name)
            if not found.base:
                raise BadInput(found.problem, where=f"profile {found.profile.name}")
            self._take(found)
            self.call_after_refresh(self._moved)

        self.ask(ChooseDialog("Whose tokenizer, template and max_length", choices, now), chosen)

    def action_next_split(self) -> None:
        """The next split."""
        self._show(self._shown.next_split())

    def action_search(self) -> None:
        """List the rows that hold some words."""
        self.add_class("-searching")
        self.query_one(SearchBar).begin(self._shown.words)

    def on_search_bar_searched(self, message: SearchBar.Searched) -> None:
        """Search; after enter the list has the keys again."""
        if not self.has_class("-searching"):
            return
        if message.done:
            self._end_search()
        self._show(msgspec.structs.replace(self._shown, words=message.words.strip()))

    def _end_search(self) -> None:
        self.query_one(SearchBar).still()
        self.remove_class("-searching")
        self._list.focus()

    def action_clear(self) -> None:
        """Close what is open; else clear the filter; else go back."""
        if self.has_class("-searching"):
            self._end_search()
        elif self.has_class("-reading") and (self.has_class("-narrow") or self._pane != "row"):
            self.remove_class("-reading")
            self._pane = "row"
            self._list.focus()
            self.call_after_refresh(self._moved)
        elif not self._shown.everything:
            self._show(Shown())
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Back to the versions."""
        self.dismiss()

    def action_scroll_row(self, lines: int) -> None:
        """Scroll the row while the list keeps the keys."""
        self._reader.action_line(lines * max(1, self._reader.size.height // 2))

    def action_unfold_row(self) -> None:
        """Long outputs whole, or folded again, while the list keeps the keys."""
        self._reader.action_unfold()


def _problem(error: LoraTuiError, width: int, folded: bool) -> Iterator[Line]:
    for text, tone in ((error.what, "bad"), (error.where, "muted"), (error.fix, "")):
        if text:
            yield [(one_line(text), tone)]
