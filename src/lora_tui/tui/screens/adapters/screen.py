"""Adapters: every version, and what can be done with one or with the marked ones."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from lora_tui.adapters import checking
from lora_tui.adapters.registry import Adapter
from lora_tui.tui.keymap import bindings
from lora_tui.tui.messages import ComparisonWanted
from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.adapters import asking, opened, outward, pages, shelf
from lora_tui.tui.screens.adapters.detail_lines import detail_lines
from lora_tui.tui.screens.adapters.job_watch import JobWatch, Standing
from lora_tui.tui.screens.adapters.opened import Opened
from lora_tui.tui.screens.adapters.serving_panel import serving_lines
from lora_tui.tui.screens.adapters.shelf import Item, Shelf
from lora_tui.tui.screens.adapters.tasks import Done, Task
from lora_tui.tui.screens.adapters.version_rows import VersionRows
from lora_tui.tui.screens.dialogs.confirm import ConfirmDialog
from lora_tui.tui.screens.dialogs.page import PageDialog
from lora_tui.tui.screens.dialogs.page_confirm import PageConfirmDialog
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.live_lines import LiveLines
from lora_tui.tui.widgets.search_bar import SearchBar
from lora_tui.tui.widgets.transcript import Transcript
from lora_tui.tui.widgets.virtual_list import VirtualList
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import base_name, many
from lora_tui.workspace.errors import BadInput

if TYPE_CHECKING:
    from lora_tui.adapters.serving.status import Status

_PERIOD = 1.0  # seconds between looks at what works
_NONE = "No adapter yet. Train one under F4, or import a folder with i."


class AdaptersScreen(Stage):
    """Owns the versions, which are marked, what was found out about them, and the one task that is under way."""

    NAME = "adapters"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("adapters")

    class Read(Message):
        """The registry was read; `show` is the label of the version to put the cursor on."""

        def __init__(self, shelf: Shelf, show: str) -> None:
            super().__init__()
            self.shelf = shelf
            self.show = show

    class Known(Message):
        """A version was read."""

        def __init__(self, opened: Opened) -> None:
            super().__init__()
            self.opened = opened

    class Checked(Message):
        """A version's files and weights were checked: what is wrong; None where that could not be done."""

        def __init__(self, label: str, findings: tuple[str, ...] | None) -> None:
            super().__init__()
            self.label = label
            self.findings = findings

    class JobsSeen(Message):
        """How the merges and exports stand, and what is served."""

        def __init__(self, standing: tuple[Standing, ...], served: tuple[Status, ...]) -> None:
            super().__init__()
            self.standing = standing
            self.served = served

    class Proposed(Message):
        """What would be written into the agent's settings; None where that cannot be told."""

        def __init__(self, proposed: outward.Proposed | None) -> None:
            super().__init__()
            self.proposed = proposed

    class Ended(Message):
        """The task is over; None where it failed, which the app shows."""

        def __init__(self, done: Done | None) -> None:
            super().__init__()
            self.done = done

    def __init__(self) -> None:
        super().__init__()
        self._shelf: Shelf | None = None
        self._words = ""
        self._marked: dict[str, None] = {}  # labels, in the order they were marked
        self._checks: dict[str, tuple[str, ...]] = {}  # label: what is wrong
        self._intact: dict[str, bool] = {}
        self._opened: Opened | None = None
        self._under_way = ""  # what is under way
        self._told = ""  # what it came to
        self._jobs: tuple[Standing, ...] = ()
        self._job_watch: JobWatch | None = None
        self._looking = False
        self._served: tuple[Status, ...] = ()
        self._swapped = False  # the versions of what is served: shown in a small window, hidden in a wide one
        self._timer: Timer | None = None

    def body(self) -> ComposeResult:
        """The versions; one of them beside or over them."""
        with Vertical(id="left"):
            yield LiveLines(id="notice")
            yield SearchBar("name, alias, base, dataset, tag")
            yield Static(id="heading", markup=False)
            yield VirtualList(id="versions")
            yield LiveLines(id="serving")
        yield Transcript(id="detail")

    def on_mount(self) -> None:
        """Begin with the list."""
        self._list.focus()

    @property
    def _list(self) -> VirtualList:
        return self.query_one("#versions", VirtualList)

    @property
    def _detail(self) -> Transcript:
        return self.query_one("#detail", Transcript)

    def on_screen_resume(self) -> None:
        """Shown, for the first time or again."""
        self.call_after_refresh(self._read)
        self._timer = self._timer or self.set_interval(_PERIOD, self._tick)
        self._tick()

    def on_screen_suspend(self) -> None:
        """Not shown: do nothing at all."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    # ---- reading

    @work(thread=True, exclusive=True, exit_on_error=False, group="read")
    def _read(self, show: str = "") -> None:
        self.post_message(self.Read(shelf.read(self.shell.workspace), show))

    def on_adapters_screen_read(self, message: Read) -> None:
        """Show what was read; the cursor stays on its version, or goes to the new one."""
        before, self._shelf = self._shelf, message.shelf
        labels = {item.label for item in message.shelf.items}
        for known in (self._marked, self._checks, self._intact):
            for label in known.keys() - labels:
                del known[label]
        if before != message.shelf or message.show:
            self._show(message.show)
        self._say()

    def _show(self, label: str = "") -> None:
        """List the versions that the words leave, with the cursor on `label`, else where it is."""
        found = self._shelf.items if self._shelf is not None else ()
        words = self._words.lower().split()
        items = [item for item in found if item.holds(words)]
        label = label or self._label()
        labels = [item.label for item in items]
        self.set_class(not items, "-nothing")
        rows = VersionRows(items, self._marked, self._intact, self.shell.clock())
        self._list.show(rows, labels.index(label) if label in labels else 0)
        self._show_heading()

    def _show_heading(self) -> None:
        if isinstance(self._list.source, VersionRows) and self._list.size.width:
            self.query_one("#heading", Static).update(self._list.source.heading(self._list.size.width - 1))

    def on_resize(self) -> None:
        """The columns are others."""
        self.call_after_refresh(self._show_heading)

    def _say(self) -> None:
        """One line: what is under way, what came of it, or what there is."""
        found = self._shelf
        if found is None:
            return
        if self._under_way:
            text, tone = f"{self._under_way} …", "accent"
        elif self._jobs:
            text, tone = f"{self._jobs[0].text}  (c stops it)", "accent"
        elif found.problem:
            text, tone = found.problem, "bad"
        elif self._told:
            text, tone = self._told, ""
        else:
            text, tone = self._standing(found), "muted"
        text = one_line(text)
        self.query_one("#notice", LiveLines).show(lambda width: [[(piece, tone)] for piece in wrap(text, width)])

    def _standing(self, found: Shelf) -> str:
        if not found.items:
            return _NONE
        shown = len(self._list.source)
        parts = [many(len(found.items), "version") if not self._words else f"{shown} of {len(found.items)} versions"]
        bases = {item.adapter.metadata.base for item in found.items if not item.problem}
        parts += [f"base {base_name(base)}" for base in bases] if len(bases) == 1 else []
        parts += [f"{len(self._marked)} marked"] if self._marked else []
        parts += [f"{found.removed} removed"] if found.removed else []
        return " · ".join(parts)

    def _current(self) -> Item | None:
        source = self._list.source
        return source.items[self._list.cursor] if isinstance(source, VersionRows) and len(source) else None

    def _label(self) -> str:
        current = self._current()
        return current.label if current is not None else ""

    def _chosen(self) -> Item:
        """The version under the cursor. Raises BadInput where there is none, or it cannot be read."""
        current = self._current()
        if current is None:
            raise BadInput("there is no version here", fix="Train one under F4, or import a folder with i.")
        if current.problem:
            raise BadInput(
                current.problem, where=str(current.adapter.folder), fix="v says what is wrong; x removes it."
            )
        return current

    @on(VirtualList.Moved, "#versions")
    def _moved(self) -> None:
        if self.has_class("-wide") or self.has_class("-open"):
            self._open()

    @on(VirtualList.Clicked, "#versions")
    def _clicked(self) -> None:
        self.action_read()

    def _open(self) -> None:
        current = self._current()
        if current is not None and self._shelf is not None:
            marked = [item for item in self._shelf.items if item.label in self._marked]
            self._know(current, self._shelf, tuple(marked))

    @work(thread=True, exclusive=True, exit_on_error=False, group="open")
    def _know(self, item: Item, found: Shelf, marked: tuple[Item, ...]) -> None:
        self.post_message(self.Known(opened.read(self.shell.workspace, item, found.items, marked)))

    def on_adapters_screen_known(self, message: Known) -> None:
        """Show the version, unless the cursor is on another one by now."""
        found = message.opened
        if found.item.label == self._label():
            stay = self._opened is not None and self._opened.item.label == found.item.label
            self._opened = found
            self._detail.show_lines(partial(detail_lines, found, self._checks.get(found.item.label)), stay=stay)

    # ---- what works by itself

    def _tick(self) -> None:
        if not self._looking:
            self._looking = True
            self._look()

    @work(thread=True, exit_on_error=False, group="look")
    def _look(self) -> None:
        standing, served = self._jobs, self._served
        try:
            from lora_tui.adapters.serving import status

            self._job_watch = self._job_watch or JobWatch(self.shell.workspace)
            standing = self._job_watch.look()
            served = tuple(one for one in status.statuses(self.shell.workspace) if one.state != "stopped")
        finally:
            self.post_message(self.JobsSeen(standing, served))

    def on_adapters_screen_jobs_seen(self, message: JobsSeen) -> None:
        """Say how far they are; show what one has made."""
        self._looking = False
        self._jobs = tuple(one for one in message.standing if not one.ended)
        ended = [one for one in message.standing if one.ended]
        for one in ended:
            self._told = one.text
            self._read(one.label)
        self._say()
        if message.served != self._served:
            self._served = message.served
            self._show_served()

    def _show_served(self) -> None:
        whole = self.has_class("-wide") != self._swapped
        self.query_one("#serving", LiveLines).show(partial(serving_lines, self._served, whole))

    def action_serving(self) -> None:
        """Show what each served version answered, or the sets alone."""
        if not self._served:
            raise BadInput("nothing is served", fix="S serves the marked versions, or the one under the cursor.")
        self._swapped = not self._swapped
        self._show_served()

    def action_stop(self) -> None:
        """Stop the merges and exports that work, after asking."""
        jobs = self._jobs
        if not jobs or self._job_watch is None:
            raise BadInput("nothing works here now", fix="m merges, e exports.")
        text = "\n".join(one.text for one in jobs)
        watch = self._job_watch
        identities = tuple(one.id for one in jobs)
        self.ask(
            ConfirmDialog("Stop it?", f"{text}\n\nNothing half is left.", "stop"), lambda _: watch.stop(identities)
        )

    # ---- what is shown

    def action_read(self) -> None:
        """Read the version, or go back to the list; on a wide window both are there."""
        if self._detail.has_focus:
            self.action_close()
        elif self._current() is not None:
            self.add_class("-open")
            self._detail.focus()
            self._open()

    def action_close(self) -> None:
        """Close what is open; else show all versions again; else unmark them."""
        if self._detail.has_focus or self.has_class("-open"):
            self.remove_class("-open")
        elif self._words or self.has_class("-searching"):
            self._search("")
            self.remove_class("-searching")
        elif self._marked:
            self.action_unmark()
        self._list.focus()

    def action_scroll_detail(self, lines: int) -> None:
        """Scroll the detail by half of its window while the list keeps the keys."""
        self._detail.action_page(lines * 0.5)

    def action_search(self) -> None:
        """Show the versions that some words name."""
        self.add_class("-searching")
        self.query_one(SearchBar).begin(self._words)

    def on_search_bar_searched(self, message: SearchBar.Searched) -> None:
        """The list follows what is typed."""
        self._search(message.words)
        if message.done:
            self.set_class(bool(self._words), "-searching")
            self._list.focus()

    def _search(self, words: str) -> None:
        if words != self._words:
            self._words = words
            self._show()
            self._say()

    def action_refresh(self) -> None:
        """Read the registry again."""
        self._told = ""
        self._read()

    def action_mark(self) -> None:
        """Mark the version, or no longer, and go to the next."""
        current = self._chosen()
        if current.label in self._marked:
            del self._marked[current.label]
        else:
            self._marked[current.label] = None
        self._list.refresh_row(self._list.cursor)
        if self._list.cursor + 1 < len(self._list.source):
            self._list.action_move(1)
        else:
            self._moved()
        self._told = ""
        self._say()

    def action_unmark(self) -> None:
        """Mark none."""
        self._marked.clear()
        self._list.redraw()
        self._say()
        self._moved()

    # ---- what is done with a version

    def action_check(self) -> None:
        """Check the version's files, metadata and weights."""
        current = self._current()
        if current is None:
            self._chosen()
        elif not self._under_way:
            self._begin_check(current)

    def _begin_check(self, item: Item) -> None:
        self._under_way = f"checking {item.label}"
        self._say()
        self._check(item)

    @work(thread=True, exit_on_error=False, group="task")
    def _check(self, item: Item) -> None:
        findings: tuple[str, ...] | None = None
        try:
            found = checking.check(self.shell.workspace, item.adapter.folder)
            findings = tuple(f"{finding.file}: {finding.what}" for finding in found)
        finally:
            self.post_message(self.Checked(item.label, findings))

    def on_adapters_screen_checked(self, message: Checked) -> None:
        """Mark the row, say it in the detail."""
        self._under_way = ""
        label, findings = message.label, message.findings
        if findings is not None:
            self._checks[label], self._intact[label] = findings, not findings
            wrong = f"{label}: {findings[0]}" if findings else ""
            self._told = wrong + (f", and {len(findings) - 1} more (enter)" if findings[1:] else "")
            self._told = self._told or f"✓ {label} is what was registered."
            self._list.redraw()
        self._say()
        self._moved()

    def action_diff(self) -> None:
        """What the two marked versions differ in; of one marked, from it to the one under the cursor."""
        marked = [item for item in self._items() if item.label in self._marked]
        if len(marked) == 1 and marked[0].label != self._chosen().label:
            marked.append(self._chosen())
        if len(marked) != 2:
            raise BadInput(f"two versions are compared, and {len(marked)} are marked", fix="Mark them with space.")
        older, newer = sorted(marked, key=lambda item: item.adapter.metadata.created)
        write = partial(pages.difference, older.adapter, newer.adapter)
        self.app.push_screen(PageDialog(f"{older.label} and {newer.label}", write))

    def _items(self) -> tuple[Item, ...]:
        return self._shelf.items if self._shelf is not None else ()

    def action_merge(self) -> None:
        """Open the form for the marked versions, in the order in which they were marked."""
        from lora_tui.tui.screens.adapters.merge_screen import MergeScreen

        known = {item.label: item for item in self._items()}
        if len(self._marked) < 2:
            raise BadInput(f"a merge takes two versions or more, not {len(self._marked)}", fix="Mark them with space.")
        self.app.push_screen(MergeScreen([known[label] for label in self._marked]))

    async def action_verify(self) -> None:
        """Open Verify with the version."""
        current = self._chosen()
        await self.app.switch_mode("verify")
        self.app.screen.post_message(ComparisonWanted(current.label))

    def action_alias(self) -> None:
        """Point an alias to the version, or take one away, or tag it."""
        current = self._chosen()
        asking.alias(self, current, asking.tags_of(self._opened, current), self._begin)

    def action_remove(self) -> None:
        """Remove the version, after asking."""
        current = self._current()
        if current is None:
            self._chosen()
        else:
            asking.remove(self, current, self._begin)

    def action_import(self) -> None:
        """Take in an adapter that lies elsewhere."""
        asking.take(self, self._begin)

    def action_promote(self) -> None:
        """Make the version what its name means."""
        outward.promote(self, self._chosen(), self._after)

    def action_rollback(self) -> None:
        """Make the name mean the version before."""
        outward.rollback(self, self._chosen(), self._after)

    def action_serve(self) -> None:
        """Serve the marked versions, or the one under the cursor; or stop what is served."""
        running = [one.name for one in self._served if one.state in ("ready", "starting")]
        outward.serve(self, self._wanted(), running, self._after)

    def action_export(self) -> None:
        """Write the version for other programs."""
        outward.export(
            self, self._chosen(), [item for item in self._items() if item.label in self._marked], self._begin
        )

    def _wanted(self) -> list[Item]:
        """The marked versions, else the one under the cursor."""
        return [item for item in self._items() if item.label in self._marked] or [self._chosen()]

    def _after(self, done: bool | None) -> None:
        """A command has ended, or goes on by itself."""
        self._read()

    def action_opencode(self) -> None:
        """Show what opencode's settings would become, and write that when it is agreed to."""
        if self._under_way:
            raise BadInput(f"{self._under_way} is under way", fix="Wait for it, then press the key again.")
        self._under_way = "reading opencode's settings"
        self._say()
        self._propose([item.adapter for item in self._wanted()])

    @work(thread=True, exit_on_error=False, group="task")
    def _propose(self, adapters: list[Adapter]) -> None:
        found: outward.Proposed | None = None
        try:
            found = outward.opencode(self.shell.workspace, adapters)
        finally:
            self.post_message(self.Proposed(found))

    def on_adapters_screen_proposed(self, message: Proposed) -> None:
        """Ask."""
        self._under_way = ""
        self._say()
        found = message.proposed
        if found is None:
            return
        if not found.difference:
            self._told = "opencode's settings are as they should be."
            self._say()
            return
        text = "\n".join([*(f"note: {note}" for note in found.notes), "", found.difference])
        dialog = PageConfirmDialog("Into opencode's settings", text.strip("\n"), "write")
        self.ask(dialog, lambda _: self._begin("writing opencode's settings", found.write))

    def _begin(self, what: str, task: Task) -> None:
        """Have it done off the event loop. Raises BadInput while something is under way."""
        if self._under_way:
            raise BadInput(f"{self._under_way} is under way", fix="Wait for it, then press the key again.")
        self._under_way, self._told = what, ""
        self._say()
        self._do(task)

    @work(thread=True, exit_on_error=False, group="task")
    def _do(self, task: Task) -> None:
        done: Done | None = None
        try:
            done = task()
        finally:
            self.post_message(self.Ended(done))

    def on_adapters_screen_ended(self, message: Ended) -> None:
        """Say what came of it, read again."""
        self._under_way = ""
        if message.done is not None:
            self._told = message.done.text
            self._read(message.done.show)
        self._say()
