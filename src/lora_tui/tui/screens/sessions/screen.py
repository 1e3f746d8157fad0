"""Sessions: examples in a list, the conversation beside it, one key per decision."""

from __future__ import annotations

import sqlite3
import time
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from lora_tui.curation import examples, labels, reading
from lora_tui.curation.examples import Counts
from lora_tui.curation.reading import Example
from lora_tui.tui.keymap import bindings
from lora_tui.tui.screens.sessions import draft
from lora_tui.tui.screens.sessions.evidence import EvidenceLine, evidence_lines
from lora_tui.tui.screens.sessions.filter_line import FilterLine, Position
from lora_tui.tui.screens.sessions.filters import View
from lora_tui.tui.screens.sessions.labeller import Labeller
from lora_tui.tui.screens.sessions.rows import ExampleRows
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.transcript import Transcript
from lora_tui.tui.widgets.virtual_list import VirtualList

_READ_AFTER = 0.15  # seconds the cursor rests on a row before its conversation is read
_SEARCH_AFTER = 0.12


class SessionsScreen(Stage):
    """Owns the filter, the frozen list of ids and the writing of decisions."""

    NAME = "sessions"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("sessions")

    class Listed(Message):
        """A worker has applied the filter."""

        def __init__(self, view: View, ids: array[int], counts: Counts, sources: list[str], keep: int | None) -> None:
            super().__init__()
            self.view = view
            self.ids = ids
            self.counts = counts
            self.sources = sources
            self.keep = keep

    class Opened(Message):
        """A worker has read an example."""

        def __init__(self, example: Example) -> None:
            super().__init__()
            self.example = example

    class Written(Message):
        """A decision about these examples is in the workspace."""

        def __init__(self, ids: list[int], undone: labels.Undone | None = None) -> None:
            super().__init__()
            self.ids = ids
            self.undone = undone

    class Failed(Message):
        """A decision could not be written."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    def __init__(self) -> None:
        super().__init__()
        self._view = View()
        self._rows: ExampleRows | None = None
        self._example: Example | None = None
        self._counts: Counts | None = None
        self._sources: list[str] = []
        self._landed = 0.0
        self._resting: Timer | None = None
        self._typing: Timer | None = None
        self._labeller = Labeller(lambda error: self.post_message(self.Failed(error)))

    def body(self) -> ComposeResult:
        """Filter line, list, conversation, evidence."""
        search = Input(placeholder="words in requests, answers, commands", id="search", compact=True)
        search.cursor_blink = False
        with Horizontal(id="filter"):
            yield FilterLine(self.shell.keymap)
            yield search
            yield Position()
        with Vertical(id="browse"):
            yield VirtualList(id="list")
            yield Transcript(id="reader")
        yield Static(id="empty", markup=False)
        yield EvidenceLine()

    def on_mount(self) -> None:
        """Read the list after the first frame."""
        self._list.focus()
        self.call_after_refresh(self._apply, None)

    def on_unmount(self) -> None:
        """Finish writing."""
        self._labeller.close()

    @property
    def _list(self) -> VirtualList:
        return self.query_one("#list", VirtualList)

    @property
    def _reader(self) -> Transcript:
        return self.query_one("#reader", Transcript)

    # ---- the list

    @work(thread=True, exclusive=True, exit_on_error=False, group="list")
    def _apply(self, keep: int | None) -> None:
        """Apply the filter; `keep` is the example the cursor should stay on."""
        view, workspace, worker = self._view, self.shell.workspace, get_current_worker()
        ids = examples.ids(workspace, view.filter, view.order)
        if worker.is_cancelled:
            return
        sources = [row[0] for row in _sources(workspace.connection())]
        if not worker.is_cancelled:
            self.post_message(self.Listed(view, ids, examples.counts(workspace), sources, keep))

    def on_sessions_screen_listed(self, message: Listed) -> None:
        """Show the list, unless the filter has changed again meanwhile."""
        if message.view != self._view:
            return
        self._counts, self._sources = message.counts, message.sources
        self._rows = ExampleRows(self.shell.workspace, message.ids, self.shell.clock())
        place = self._rows.index_of(message.keep) if message.keep is not None else None
        self.set_class(not message.ids, "-nothing")
        if not message.ids:
            self._example = None
            self.query_one(Position).show(0, 0)
            self.query_one("#empty", Static).update(self._why_nothing(message.counts))
        self._list.show(self._rows, place or 0)

    def _why_nothing(self, counts: Counts) -> str:
        if not counts.total:
            return "No examples yet.\nGo Home with q and read your agent's history with i."
        return f"None of {counts.total:,} examples passes this filter.\nesc clears it."

    @on(VirtualList.Moved, "#list")
    def _moved(self, message: VirtualList.Moved) -> None:
        if self._rows is None or not len(self._rows):
            return
        self.query_one(Position).show(message.index, len(self._rows))
        self._landed = time.monotonic()
        self._example = None
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_READ_AFTER, partial(self._open, self._rows.ids[message.index]))

    @on(VirtualList.Clicked, "#list")
    def _clicked(self) -> None:
        self.action_read()

    @work(thread=True, exclusive=True, exit_on_error=False, group="example")
    def _open(self, identity: int) -> None:
        self.post_message(self.Opened(reading.example(self.shell.workspace, identity)))

    def on_sessions_screen_opened(self, message: Opened) -> None:
        """Show the conversation, or its evidence where there is no room for more."""
        if message.example.row.id != self._current():
            return
        self._example = message.example
        self.query_one(EvidenceLine).show(message.example)
        if self._reader.display:
            self._reader.show(message.example.messages, partial(evidence_lines, message.example))

    def _current(self) -> int | None:
        if self._rows is None or not len(self._rows):
            return None
        return self._rows.ids[self._list.cursor]

    # ---- decisions

    def _write(self, write: Callable[[], Any], ids: list[int]) -> None:
        self._labeller.put(write, lambda _: self.post_message(self.Written(ids)))

    def _decide(self, action: labels.Action | Callable[[int], labels.Action], value: str | None = None) -> None:
        """Record a decision about the row under the cursor, and go on; a function decides when its turn comes."""
        identity = self._current()
        if identity is None:
            return
        workspace, author = self.shell.workspace, self.shell.config.labeller
        seconds = round(time.monotonic() - self._landed, 1)

        def write() -> str:
            what = action(identity) if callable(action) else action
            return labels.decide(workspace, [identity], what, value, author=author, seconds=seconds)

        self._write(write, [identity])
        self._list.action_move(1)

    def action_decide(self, action: labels.Action) -> None:
        """Accept, reject or skip, then the next row."""
        self._decide(action)

    def action_language(self, number: int) -> None:
        """It is about the number-th language of config.toml."""
        if number <= len(self.shell.config.languages):
            self._decide("language", self.shell.config.languages[number - 1])

    def action_flag(self) -> None:
        """Flag it, or take the flag away."""
        workspace = self.shell.workspace
        self._decide(lambda identity: "unflag" if examples.rows(workspace, [identity])[0].flagged else "flag")

    def action_undo(self) -> None:
        """Take back the last decision."""
        workspace, author = self.shell.workspace, self.shell.config.labeller
        self._labeller.put(
            lambda: labels.undo(workspace, author),
            lambda undone: self.post_message(self.Written(undone.ids if undone else [], undone)),
        )

    def on_sessions_screen_written(self, message: Written) -> None:
        """Draw the rows anew; after an undo, go back to its row."""
        if self._rows is None:
            return
        places = self._rows.reload(message.ids)
        for place in places:
            self._list.refresh_row(place)
        if message.undone is not None:
            if places:
                self._list.cursor = places[0]
            else:
                self.notify(f"Took back “{message.undone.action}” of an example this filter leaves out.", timeout=4)
        elif not message.ids:
            self.notify("There is nothing left to take back.", timeout=3)

    def on_sessions_screen_failed(self, message: Failed) -> None:
        """Say why a decision is not in the workspace."""
        self.shell.show_error(message.error)

    def action_edit(self) -> None:
        """Edit the messages in $EDITOR; the original stays as it is."""
        identity = self._current()
        if identity is None:
            return
        workspace, config = self.shell.workspace, self.shell.config
        found = reading.example(workspace, identity)
        path = draft.path_of(workspace, identity)
        draft.write(path, found.messages)
        with self.app.suspend():  # nothing may raise in here: the terminal would not come back
            problem = draft.run_editor(config.editor, path)
        if problem is not None:
            raise problem
        edited = draft.read(path, found.messages)
        if edited == found.messages:
            path.unlink()
            self.notify("Nothing was changed.", timeout=3)
            return
        self._labeller.put(
            lambda: draft.store(workspace, identity, edited, config.labeller),
            lambda _: (self.post_message(self.Written([identity])), self._open(identity)),
        )

    # ---- filters

    def _show(self, view: View) -> None:
        self._view = view
        self.query_one(FilterLine).show(view)
        self._apply(self._current())

    def action_cycle_label(self) -> None:
        """The next label filter."""
        self._show(self._view.next_label())

    def action_cycle_confidence(self) -> None:
        """The next confidence range."""
        self._show(self._view.next_confidence())

    def action_cycle_source(self) -> None:
        """The next source."""
        self._show(self._view.next_source(self._sources))

    def action_cycle_order(self) -> None:
        """The other order."""
        self._show(self._view.next_order())

    def action_choose_language(self) -> None:
        """Choose a language from those that occur."""
        from lora_tui.tui.screens.dialogs.choose import ChooseDialog

        counts = self._counts
        if counts is None:
            return
        totals = {language: sum(by.values()) for language, by in counts.by_language.items()}
        choices = [("", f"any language  {counts.total:,}")]
        choices += [
            (language, f"{language:<12} {number:>8,} · {counts.of('accept', language):,} accepted")
            for language, number in sorted(totals.items(), key=lambda item: -item[1])
        ]
        now = self._view.filter.languages[0] if self._view.filter.languages else ""
        self.app.push_screen(ChooseDialog("Language", choices, now), self._chosen)

    def _chosen(self, language: str | None) -> None:
        if language is not None:
            self._show(self._view.of_language(language))

    def action_refresh(self) -> None:
        """Apply the filter again: what no longer passes leaves the list."""
        self._apply(self._current())

    def action_search(self) -> None:
        """Open the search."""
        self.add_class("-searching")
        self.query_one("#search", Input).focus()

    @on(Input.Changed, "#search")
    def _typed(self, message: Input.Changed) -> None:
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(_SEARCH_AFTER, partial(self._search, message.value))

    def _search(self, text: str) -> None:
        view = self._view.search(text)
        if view != self._view:
            self._show(view)

    @on(Input.Submitted, "#search")
    def _submitted(self, message: Input.Submitted) -> None:
        self._search(message.value)
        self._end_search()

    def _end_search(self) -> None:
        self.remove_class("-searching")
        self._list.focus()

    def action_clear(self) -> None:
        """Close what is open: the search, else the conversation, else the filter."""
        if self.has_class("-searching"):
            self.query_one("#search", Input).value = ""
            self._end_search()
        elif self.has_class("-reading") and self.has_class("-narrow"):
            self.action_read()
        elif self._view != View():
            self.query_one("#search", Input).value = ""
            self._show(View())

    # ---- the conversation

    def action_read(self) -> None:
        """Open or close the conversation; where it stands beside the list, go into it or back."""
        if self.has_class("-wide"):
            (self._list if self._reader.has_focus else self._reader).focus()
            return
        reading = not self.has_class("-reading")
        self.set_class(reading, "-reading")
        if not reading:
            self._list.focus()
        identity = self._current()
        if reading and identity is not None:
            self._open(identity)

    def on_resize(self) -> None:
        """The conversation may just have got room."""
        identity = self._current()
        if identity is not None:
            self._open(identity)

    def action_scroll_reader(self, lines: int) -> None:
        """Scroll the conversation while the list keeps the keys."""
        self._reader.action_line(lines * max(1, self._reader.size.height // 2))


def _sources(connection: sqlite3.Connection) -> list[tuple[str]]:
    return connection.execute("SELECT DISTINCT source FROM session ORDER BY source").fetchall()
