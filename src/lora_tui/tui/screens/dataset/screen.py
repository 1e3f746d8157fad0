"""Dataset: from accepted examples to an immutable version."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from lora_tui.backends.counting import Cancelled
from lora_tui.dataset.model import Dataset
from lora_tui.dataset.shares import Shares
from lora_tui.dataset.statistics import Statistics
from lora_tui.tui.keymap import bindings
from lora_tui.tui.screens.dataset import asking, pages, supply, tasks, version_text
from lora_tui.tui.screens.dataset.comparison import page
from lora_tui.tui.screens.dataset.statistics_lines import counted, statistics_lines
from lora_tui.tui.screens.dataset.supply import Supply, supply_lines
from lora_tui.tui.screens.dataset.tasks import Ended, Work
from lora_tui.tui.screens.dataset.version_rows import VersionRows
from lora_tui.tui.screens.dataset.version_text import Opened, version_lines
from lora_tui.tui.screens.dialogs.page import PageDialog
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.live_lines import Line, LiveLines
from lora_tui.tui.widgets.transcript import Transcript
from lora_tui.tui.widgets.virtual_list import VirtualList
from lora_tui.tui.wording import many
from lora_tui.workspace.errors import BadInput


class DatasetScreen(Stage):
    """Owns the chosen profile, the versions and the building of the next one."""

    NAME = "dataset"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("dataset")

    class Counted(Message):
        """The workspace was read; `show` is the label of the version to put the cursor on."""

        def __init__(self, supply: Supply, show: str) -> None:
            super().__init__()
            self.supply = supply
            self.show = show

    class Read(Message):
        """A version was read."""

        def __init__(self, opened: Opened) -> None:
            super().__init__()
            self.opened = opened

    class RowsCounted(Message):
        """A version's statistics."""

        def __init__(self, dataset: Dataset, found: Statistics) -> None:
            super().__init__()
            self.dataset = dataset
            self.found = found

    class Working(Message):
        """How far what takes a while is; `ended` when it is over."""

        def __init__(self, text: str, ended: Ended | None = None) -> None:
            super().__init__()
            self.text = text
            self.ended = ended

    def __init__(self) -> None:
        super().__init__()
        self._supply: Supply | None = None
        self._profile = ""
        self._counting = False  # a version's statistics were asked for last, not its page
        self._work: Work | None = None  # what takes a while, one at a time
        self._told = ""  # what it came to

    def body(self) -> ComposeResult:
        """Supply over versions; a version beside or over them."""
        with Vertical(id="left"):
            yield LiveLines(id="supply")
            yield LiveLines(id="notice")
            yield VirtualList(id="versions")
        yield Transcript(id="version")

    def on_mount(self) -> None:
        """Name the panels."""
        self.query_one("#versions").border_title = "versions"
        self.query_one("#version").border_title = "version"
        self._list.focus()

    @property
    def _list(self) -> VirtualList:
        return self.query_one("#versions", VirtualList)

    def on_screen_resume(self) -> None:
        """Shown, for the first time or again."""
        self.call_after_refresh(self._count)

    # ---- reading

    @work(thread=True, exclusive=True, exit_on_error=False, group="count")
    def _count(self, show: str = "") -> None:
        self.post_message(self.Counted(supply.read(self.shell.workspace, self._profile), show))

    def on_dataset_screen_counted(self, message: Counted) -> None:
        """Show what was counted; the cursor stays on its version, or goes to the new one."""
        before = self._supply
        self._supply = message.supply
        self.query_one("#supply", LiveLines).show(partial(self._lines, message.supply))
        if self._work is None:
            self._say(self._told or self._advice(message.supply))
        if before is None or before.datasets != message.supply.datasets:
            self._show_versions(message.supply.datasets, message.show or self._label())

    def _lines(self, found: Supply, width: int) -> list[Line]:
        return list(supply_lines(found, self.size.height > 40, width))

    def _show_versions(self, datasets: tuple[Dataset, ...], label: str) -> None:
        self.set_class(not datasets, "-nothing")
        labels = [item.label for item in datasets]
        rows = VersionRows(datasets, self.shell.clock())
        self._list.show(rows, labels.index(label) if label in labels else 0)

    def _advice(self, found: Supply) -> str:
        if not found.accepted:
            return f"Accept examples of {' or '.join(found.languages) or 'any language'} under Sessions first."
        newest = found.datasets[0].label if found.datasets else ""
        text = f"b builds the next version from {many(found.accepted, 'accepted example')}."
        return text + (f" Train on {newest} with F4." if newest else "")

    def _say(self, text: str) -> None:
        self.query_one("#notice", LiveLines).show(lambda width: [[(text, "muted")]])

    def _current(self) -> Dataset | None:
        datasets = self._supply.datasets if self._supply is not None else ()
        return datasets[self._list.cursor] if self._list.cursor < len(datasets) else None

    def _label(self) -> str:
        source = self._list.source
        if isinstance(source, VersionRows) and self._list.cursor < len(source):
            return source.datasets[self._list.cursor].label
        return ""

    @on(VirtualList.Moved, "#versions")
    def _moved(self) -> None:
        if (current := self._current()) is not None:
            self._counting = False
            self._open(current)

    @on(VirtualList.Clicked, "#versions")
    def _clicked(self) -> None:
        self.action_open()

    @work(thread=True, exclusive=True, exit_on_error=False, group="open")
    def _open(self, dataset: Dataset) -> None:
        self.post_message(self.Read(version_text.read(self.shell.workspace, dataset)))

    def on_dataset_screen_read(self, message: Read) -> None:
        """Show the version, unless the cursor is on another one or its statistics are asked for by now."""
        current = self._current()
        if not self._counting and current is not None and current.label == message.opened.dataset.label:
            self.query_one("#version", Transcript).show_lines(partial(version_lines, message.opened))

    # ---- what keys do

    def action_next_profile(self) -> None:
        """Count against the next profile."""
        if self._supply is not None and self._supply.profiles:
            names = self._supply.profiles
            now = self._supply.profile.name if self._supply.profile is not None else ""
            self._profile = names[(names.index(now) + 1) % len(names)] if now in names else names[0]
            self._count()

    def action_open(self) -> None:
        """Go through the version's rows."""
        current = self._chosen("open")
        from lora_tui.tui.screens.version.screen import VersionScreen

        self.app.push_screen(VersionScreen(current))

    def action_read(self) -> None:
        """Read the version's page, or go back to the list; on a wide window both are there."""
        current = self._current()
        if self.query_one("#version").has_focus:
            self.action_close()
        elif current is not None:
            self.add_class("-open")
            self.query_one("#version").focus()
            self._counting = False
            self._open(current)

    def action_close(self) -> None:
        """Back to the list."""
        self.remove_class("-open")
        self._list.focus()

    def action_refresh(self) -> None:
        """Count again."""
        self._count()

    def action_build(self) -> None:
        """Ask for a name, then build."""
        found = self._supply
        if found is None:
            return
        self._idle()
        if not found.accepted:
            raise BadInput(f"no accepted example of {' or '.join(found.languages) or 'any language'}", fix=_FIRST)

        def named(name: str, shares: Shares) -> None:
            self._begin(tasks.build(self.shell.workspace, name, shares, found.profile))

        asking.name_and_split(self, found, named)

    def action_import(self) -> None:
        """Ask for a file, then make a version of it."""
        self._idle()

        def given(path: Path, name: str, shares: Shares | None) -> None:
            self._begin(tasks.import_(self.shell.workspace, path, name, shares))

        asking.file_and_name(self, given)

    def action_count(self) -> None:
        """Count what the version under the cursor holds."""
        current = self._chosen("count")
        self.add_class("-open")
        reader = self.query_one("#version", Transcript)
        reader.show_lines(lambda width, folded: iter([[("counting …", "muted")]]))
        reader.focus()
        self._counting = True
        self._count_rows(current)

    @work(thread=True, exclusive=True, exit_on_error=False, group="open")
    def _count_rows(self, dataset: Dataset) -> None:
        chosen = self._supply.profile if self._supply is not None else None
        self.post_message(self.RowsCounted(dataset, counted(self.shell.workspace, dataset, chosen)))

    def on_dataset_screen_rows_counted(self, message: RowsCounted) -> None:
        """Show it, unless the cursor is on another version or its page is asked for by now."""
        current = self._current()
        if self._counting and current is not None and current.label == message.dataset.label:
            self.query_one("#version", Transcript).show_lines(partial(statistics_lines, message.found))

    def action_compare(self) -> None:
        """Choose another version and say what changed from the older to the newer."""
        current = self._current()
        datasets = self._supply.datasets if self._supply is not None else ()
        others = [item for item in datasets if current is not None and item.label != current.label]
        if current is None or not others:
            raise BadInput("there is no other version to compare with", fix="Build one with b.")

        def compare(first: Dataset, second: Dataset) -> None:
            self.app.push_screen(PageDialog("What changed", partial(page, first, second)))

        asking.another_version(self, current, others, compare)

    def action_export(self) -> None:
        """Ask for a format and a folder, then write the version there."""
        current = self._chosen("export")
        self._idle()

        def given(format: str, folder: Path, replace: bool) -> None:
            self._begin(tasks.export(current, format, folder, replace))

        asking.format_and_folder(self, current, given)

    def action_left_out(self) -> None:
        """What the version under the cursor left out, and why."""
        current = self._chosen("read")
        self.app.push_screen(PageDialog(f"Left out of {current.label}", partial(pages.left_out, current)))

    def action_verify(self) -> None:
        """Whether the version under the cursor is what was built."""
        current = self._chosen("check")
        self.app.push_screen(PageDialog("Is it what was built?", partial(pages.verified, current)))

    def _chosen(self, verb: str) -> Dataset:
        """The version under the cursor. Raises BadInput where there is none."""
        current = self._current()
        if current is None:
            raise BadInput(f"there is no version to {verb}", fix="Build one with b, or import one with I.")
        return current

    # ---- what takes a while

    def _idle(self) -> None:
        """Raises BadInput while something is under way."""
        if self._work is not None:
            raise BadInput(f"{self._work.what} is under way", fix="Wait for it, or stop it with S.")

    def action_stop(self) -> None:
        """Stop what is under way."""
        if self._work is None:
            raise BadInput("nothing is under way", fix="b builds, I imports, x exports.")
        self._work.stop()
        self._say(f"{self._work.what}: stopping …")

    def _begin(self, work: Work) -> None:
        self._idle()
        self._work = work
        work.tell = self._hear
        self._hear(f"{work.what} …")
        self._do(work)

    def _hear(self, text: str) -> None:
        self.post_message(self.Working(text))

    @work(thread=True, exit_on_error=False, group="long")
    def _do(self, work: Work) -> None:
        ended = Ended()
        try:
            ended = work.do(work)
        except Cancelled:
            ended = Ended(f"{work.what} was stopped; nothing of it was kept")
        finally:
            self.post_message(self.Working("", ended))

    def on_dataset_screen_working(self, message: Working) -> None:
        """Say how far it is; show what came of it."""
        if message.ended is None:
            if self._work is not None and not self._work.stopped:
                self._say(f"{message.text}  (S stops it)")
            return
        self._work, self._told = None, message.ended.text
        if message.ended.label and not message.ended.text:
            self.notify(f"{message.ended.label} is built.", timeout=3, markup=False)
        self._count(message.ended.label)

    def on_unmount(self) -> None:
        """End what works for this screen: the app would wait for it."""
        if self._work is not None:
            self._work.stop()


_FIRST = "Accept some first: under Sessions, with a."
