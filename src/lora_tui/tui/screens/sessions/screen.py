"""Sessions: examples in a list or a frozen queue, the conversation beside it, one key per decision."""

from __future__ import annotations

import sqlite3
import time
from array import array
from collections.abc import Sequence
from functools import partial
from typing import Literal

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import get_current_worker

from lora_tui.curation import examples, labels, reading
from lora_tui.curation.examples import Counts, ExampleRow
from lora_tui.curation.queues import Queue
from lora_tui.tui.keymap import bindings
from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.sessions import choosing, draft
from lora_tui.tui.screens.sessions.deciding import DecisionFailed, Decisions, DecisionUndone, DecisionWritten
from lora_tui.tui.screens.sessions.evidence import EvidenceLine
from lora_tui.tui.screens.sessions.filter_line import FilterLine, Position
from lora_tui.tui.screens.sessions.filters import Step, View
from lora_tui.tui.screens.sessions.queue_run import QueueRun, Standing, standing
from lora_tui.tui.screens.sessions.reader import Reader
from lora_tui.tui.screens.sessions.rows import ExampleRows
from lora_tui.tui.screens.sessions.showing import Showing
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.search_bar import SearchBar
from lora_tui.tui.widgets.virtual_list import VirtualList

_READ_AFTER = 0.15  # seconds the cursor rests on a row before its conversation is read
_COUNT_AGAIN = 5.0  # seconds between two looks at a queue's pace


class SessionsScreen(Stage):
    """Owns the filter, the frozen list of ids (of a queue, or of what passed the filter) and the cursor's example."""

    NAME = "sessions"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("sessions")

    class Listed(Message):
        """A worker has applied the filter, or read the queue."""

        def __init__(
            self,
            view: View,
            ids: array[int],
            counts: Counts,
            sources: list[str],
            keep: int | None,
            run: QueueRun | None,
        ) -> None:
            super().__init__()
            self.view = view
            self.ids = ids
            self.counts = counts
            self.sources = sources
            self.keep = keep
            self.run = run

    class Counted(Message):
        """A worker has counted how a queue stands."""

        def __init__(self, run: QueueRun, standing: Standing) -> None:
            super().__init__()
            self.run = run
            self.standing = standing

    class Previewed(Message):
        """A worker knows what a decision about everything shown would be about."""

        def __init__(self, preview: labels.Preview) -> None:
            super().__init__()
            self.preview = preview

    def __init__(self) -> None:
        super().__init__()
        self._showing = Showing()
        self._run: QueueRun | None = None
        self._rows: ExampleRows | None = None
        self._counts: Counts | None = None
        self._sources: list[str] = []
        self._landed = self._counted = 0.0
        self._resting: Timer | None = None

    def body(self) -> ComposeResult:
        """Filter line, list, conversation, evidence."""
        with Horizontal(id="filter"):
            yield FilterLine(self.shell.keymap)
            yield SearchBar("words in requests, answers, commands")
            yield Position()
        with Vertical(id="browse"):
            yield VirtualList(id="list")
            yield Reader(id="reader")
        yield Static(id="empty", markup=False)
        yield EvidenceLine()

    def on_mount(self) -> None:
        """Read the list after the first frame."""
        self._author = self.shell.config.labeller
        self._decisions = Decisions(self.shell.workspace, self._author, self.post_message)
        self._list.focus()
        self.call_after_refresh(self._apply, None)

    def on_unmount(self) -> None:
        """Finish writing."""
        self._decisions.close()

    @property
    def _list(self) -> VirtualList:
        return self.query_one("#list", VirtualList)

    @property
    def _reader(self) -> Reader:
        return self.query_one(Reader)

    # ---- the list

    @work(thread=True, exclusive=True, exit_on_error=False, group="list")
    def _apply(self, keep: int | None) -> None:
        """Apply the filter, or read the queue; `keep` is the example the cursor should stay on."""
        view, queue = self._showing.view, self._showing.queue
        workspace, worker = self.shell.workspace, get_current_worker()
        run = QueueRun(workspace, queue) if queue is not None else None
        ids = run.ids if run is not None else examples.ids(workspace, view.filter, view.order, self._author)
        if worker.is_cancelled:
            return
        sources = [row[0] for row in _sources(workspace.connection())]
        if not worker.is_cancelled:
            self.post_message(self.Listed(view, ids, examples.counts(workspace), sources, keep, run))

    def on_sessions_screen_listed(self, message: Listed) -> None:
        """Show the list, unless another one has been asked for meanwhile."""
        showing = self._showing
        if message.view != showing.view or (message.run.queue if message.run else None) != showing.queue:
            return
        self._counts, self._sources, self._run = message.counts, message.sources, message.run
        masked = message.run.masked if message.run is not None else ()
        self._reader.reasons = message.run.reasons if message.run is not None else {}
        self._rows = ExampleRows(self.shell.workspace, message.ids, self.shell.clock(), masked)
        place = self._rows.index_of(message.keep) if message.keep is not None else None
        if message.run is not None:
            place = message.run.next_open(-1)
            self._show_queue(message.run)
            self._count(message.run)
        else:
            self._show_filter()
        self.set_class(not message.ids, "-nothing")
        if not message.ids:
            self.query_one(Position).show(0, 0)
            self.query_one("#empty", Static).update(self._why_nothing(message.counts))
        self._list.show(self._rows, place or 0)

    def _why_nothing(self, counts: Counts) -> str:
        if not counts.total:
            return "No examples yet.\nGo Home with q and read your agent's history with i."
        showing = self._showing
        if showing.queue is not None:
            return f"Nothing of queue {one_line(showing.queue.name)} is left.\nQ chooses another, or the whole list."
        if showing.back_to:
            return f"None of {counts.total:,} examples passes this filter.\nesc goes back to {showing.back_to}."
        return f"None of {counts.total:,} examples passes this filter.\nesc clears it."

    @on(VirtualList.Moved, "#list")
    def _moved(self, message: VirtualList.Moved) -> None:
        if self._rows is None or not len(self._rows):
            return
        self.query_one(Position).show(message.index, len(self._rows))
        self._landed = time.monotonic()
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_READ_AFTER, partial(self._reader.open, self._rows.ids[message.index]))

    @on(VirtualList.Clicked, "#list")
    def _clicked(self) -> None:
        self.action_read()

    def on_reader_opened(self, message: Reader.Opened) -> None:
        """Show its evidence where there is no room for more."""
        self.query_one(EvidenceLine).show(message.example, self._reader.reasons.get(message.example.row.id, ""))

    def _current(self) -> int | None:
        if self._rows is None or not len(self._rows):
            return None
        return self._rows.ids[self._list.cursor]

    def _current_row(self) -> ExampleRow | None:
        return self._rows.row(self._list.cursor) if self._rows is not None and len(self._rows) else None

    # ---- decisions

    def _decide(self, action: labels.Action, value: str | None = None) -> None:
        """Record a decision about the row under the cursor; one that answers the question goes on to the next."""
        identity, place, run = self._current(), self._list.cursor, self._run
        if identity is None:
            return
        seconds = round(time.monotonic() - self._landed, 1)
        queue = run.queue if run is not None else None
        self._decisions.decide(identity, action, value, seconds=seconds, queue=queue, position=place)
        if action in ("note", "tag", "untag"):
            return
        if run is not None and action in labels.DECIDES:
            last = run.left == 1
            run.answered(place)
            following = run.next_open(place)
            self._show_queue(run)
            if following is not None:
                self._list.cursor = following
                return
            if last:
                self.tell(f"Queue {run.queue.name} is done. Q chooses another.")
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
        identity = self._current()
        if identity is not None:
            self._decisions.flag(identity, round(time.monotonic() - self._landed, 1))
            self._list.action_move(1)

    def action_undo(self) -> None:
        """Take back the last decision."""
        self._decisions.undo()

    def on_decision_written(self, message: DecisionWritten) -> None:
        """Draw the rows anew."""
        if self._rows is None:
            return
        self._draw_anew(message.ids)
        if self._run is not None and time.monotonic() - self._counted > _COUNT_AGAIN:
            self._count(self._run)

    def on_decision_undone(self, message: DecisionUndone) -> None:
        """Draw the rows anew and go back to the one the decision was about."""
        undone, run = message.undone, self._run
        if undone is None:
            self.tell("There is nothing left to take back.")
            return
        if self._rows is None:
            return
        places = self._draw_anew(undone.ids)
        if run is not None:
            opened = [place for queue, place in undone.positions if queue == run.queue.id]
            run.reopened(opened)
            self._show_queue(run)
            places = opened or places
            for place in opened:
                self._list.refresh_row(place)
        if len(undone.ids) > 1:
            self.tell(f"Took back “{undone.action}” of {len(undone.ids):,} examples.")
        elif places:
            self._list.cursor = places[0]
        else:
            self.tell(f"Took back “{undone.action}” of an example this list leaves out.")

    def _draw_anew(self, ids: Sequence[int]) -> list[int]:
        """Show what holds of these examples now, in the list and beside it; returns the places of a few."""
        if self._rows is None:
            return []
        places = self._rows.reload(ids)
        for place in places:
            self._list.refresh_row(place)
        if not places:
            self._list.redraw()
        identity = self._current()
        if identity is not None and identity in ids:
            self._reader.open(identity)
        return places

    def on_decision_failed(self, message: DecisionFailed) -> None:
        """Say why a decision is not in the workspace, and show what holds."""
        self.shell.show_error(message.error)
        self._apply(self._current())

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
            self.tell("Nothing was changed.")
            return
        self._decisions.edit(identity, edited)
        self._decisions.then(lambda: self.app.call_from_thread(self._reader.open, identity))

    def action_note(self) -> None:
        """Write a note."""
        from lora_tui.tui.screens.sessions.asking import ask_note

        if row := self._current_row():
            ask_note(self.app, row, self._decide)

    def action_tag(self) -> None:
        """Give a tag, or take one away."""
        from lora_tui.tui.screens.sessions.asking import ask_tag

        if row := self._current_row():
            ask_tag(self.app, row, self.shell.workspace, self._decide)

    def action_bulk(self) -> None:
        """Look at what a decision about everything shown would be about."""
        if self._showing.queue is not None:
            self.tell("A queue is answered one by one. Q leaves it.")
        elif self._rows is not None and len(self._rows):
            self._preview()

    @work(thread=True, exclusive=True, exit_on_error=False, group="dialog")
    def _preview(self) -> None:
        self.post_message(self.Previewed(labels.preview(self.shell.workspace, self._showing.view.filter)))

    def on_sessions_screen_previewed(self, message: Previewed) -> None:
        """Ask what to decide about all of it."""
        from lora_tui.tui.screens.sessions.asking import ask_bulk

        found = message.preview
        ask_bulk(self.app, found, self.shell.config.languages, partial(self._decisions.decide_all, found.ids))

    # ---- filters and queues

    def _changed(self) -> None:
        """Something else is to be shown; the cursor stays on its example where that is shown too."""
        keep = self._current()
        self._reader.words = self._showing.view.filter.text if self._showing.queue is None else ""
        if self._showing.queue is None:
            self._run = None
            self._show_filter()
        self._apply(keep)

    def _show(self, view: View) -> None:
        self._showing.narrow(view)
        self._changed()

    def _show_filter(self) -> None:
        self.query_one(FilterLine).show(self._showing.view, self._showing.back_to)

    def _is_blind(self) -> bool:
        if self._showing.is_blind:
            self.tell("A second opinion stays blind. Q leaves it.")
        return self._showing.is_blind

    def action_narrow(self, step: Step) -> None:
        """The next label filter, or the next confidence range."""
        if not self._is_blind():
            self._show(self._showing.view.next(step))

    def action_cycle_source(self) -> None:
        """The next source."""
        if not self._is_blind():
            self._show(self._showing.view.next_source(self._sources))

    def action_choose(self, what: Literal["language", "order", "facet"]) -> None:
        """Choose a condition or an order from a list."""
        if self._is_blind():
            return
        if what == "order":
            choosing.choose_order(self.app, self._showing.view, self._show)
        elif what == "facet":
            choosing.choose_facet(self.app, self._showing.view, self.shell.workspace, self._show)
        elif self._counts is not None:
            choosing.choose_language(self.app, self._showing.view, self._counts, self._show)

    def action_queue(self) -> None:
        """Freeze the list as a queue, go on with one, or leave it."""
        from lora_tui.tui.screens.sessions.queueing import choose_queue

        showing = self._showing
        shown = len(self._rows) if self._rows is not None and showing.queue is None else 0
        workspace, failed = self.shell.workspace, self.shell.show_error
        choose_queue(self.app, workspace, self._author, showing.view, shown, showing.queue, self._work_on, failed)

    def _work_on(self, queue: Queue | None) -> None:
        """Work on this queue; None: leave the one there is for the list behind it."""
        self._showing.work_on(queue)
        self._changed()

    def _show_queue(self, run: QueueRun) -> None:
        self.query_one(FilterLine).show_queue(run.queue.name, run.words())

    @work(thread=True, exclusive=True, exit_on_error=False, group="standing")
    def _count(self, run: QueueRun) -> None:
        self._counted = time.monotonic()
        self.post_message(self.Counted(run, standing(self.shell.workspace, run.queue)))

    def on_sessions_screen_counted(self, message: Counted) -> None:
        """Show pace and what left the filter."""
        if message.run is self._run:
            message.run.standing = message.standing
            self._show_queue(message.run)

    def action_twins(self) -> None:
        """List this example and its near-duplicates."""
        row = self._current_row()
        if row is None or self._is_blind():
            return
        if not row.cluster:
            self.tell("There is no near-duplicate of this one.")
            return
        self._showing.twins(row.cluster)
        self._changed()

    def action_progress(self) -> None:
        """How far labelling is."""
        from lora_tui.tui.screens.dialogs.page import PageDialog
        from lora_tui.tui.screens.sessions.progress_page import page

        self.app.push_screen(PageDialog("Progress", partial(page, self.shell.workspace, self._author)))

    def action_refresh(self) -> None:
        """Apply the filter again: what no longer passes leaves the list."""
        self._apply(self._current())

    def action_search(self) -> None:
        """Open the search."""
        if self._is_blind():
            return
        self.add_class("-searching")
        self.query_one(SearchBar).begin(self._showing.view.filter.text if self._showing.queue is None else "")

    def on_search_bar_searched(self, message: SearchBar.Searched) -> None:
        """Narrow the list while the person types."""
        if message.done:
            self._end_search()
        if self._showing.searched(message.words):
            self._changed()

    def _end_search(self) -> None:
        self.query_one(SearchBar).still()
        self.remove_class("-searching")
        self._list.focus()

    def action_clear(self) -> None:
        """Close what is open: the search, else the conversation; else go back, or clear the search, then the filter."""
        if self.has_class("-searching"):
            self._end_search()
            if self._showing.end_search():
                self._changed()
        elif self.has_class("-reading") and self.has_class("-narrow"):
            self.action_read()
        elif self._reader.comparing:
            self.action_compare()
        elif self._showing.back():
            self._changed()

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
            self._reader.open(identity)

    def action_compare(self) -> None:
        """What was recorded beside what it was edited to, in the whole width; or the conversation again."""
        row = self._current_row()
        comparing = not self._reader.comparing
        if comparing and (row is None or not row.edited):
            self.tell("This one was not edited; e edits it.")
            return
        self._reader.comparing = comparing
        self.set_class(comparing, "-comparing")
        if row is not None:
            self._reader.open(row.id)

    def on_resize(self) -> None:
        """The conversation may just have got room."""
        identity = self._current()
        if identity is not None:
            self._reader.open(identity)

    def action_unfold_reader(self) -> None:
        """Long outputs whole, or folded again, while the list keeps the keys."""
        self._reader.action_unfold()

    def action_scroll_reader(self, lines: int) -> None:
        """Scroll the conversation while the list keeps the keys."""
        self._reader.action_line(lines * max(1, self._reader.size.height // 2))


def _sources(connection: sqlite3.Connection) -> list[tuple[str]]:
    return connection.execute("SELECT DISTINCT source FROM session ORDER BY source").fetchall()
