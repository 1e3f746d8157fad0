"""Dataset: from accepted examples to an immutable version."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from lora_tui.dataset import versions
from lora_tui.dataset.model import Dataset
from lora_tui.dataset.statistics import Statistics
from lora_tui.tui.keymap import bindings
from lora_tui.tui.screens.dataset import asking, supply, version_text
from lora_tui.tui.screens.dataset.comparison import page
from lora_tui.tui.screens.dataset.statistics_lines import statistics_lines
from lora_tui.tui.screens.dataset.supply import Supply, supply_lines
from lora_tui.tui.screens.dataset.version_rows import VersionRows
from lora_tui.tui.screens.dataset.version_text import Opened, version_lines
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.page import PageDialog
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.live_lines import Line, LiveLines
from lora_tui.tui.widgets.transcript import Transcript
from lora_tui.tui.widgets.virtual_list import VirtualList
from lora_tui.tui.wording import many
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import load_profile, profile_paths

_TELL_EVERY = 50  # examples gone through between two words about it


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

    class Building(Message):
        """How far the build is; `done` None: it has ended, with a version or without."""

        def __init__(self, name: str, done: int | None, built: Dataset | None = None) -> None:
            super().__init__()
            self.name = name
            self.done = done
            self.built = built

    class RowsCounted(Message):
        """A version's statistics."""

        def __init__(self, dataset: Dataset, found: Statistics) -> None:
            super().__init__()
            self.dataset = dataset
            self.found = found

    class Exported(Message):
        """How far an export is, or where it went; '' when there is nothing to say."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__()
        self._supply: Supply | None = None
        self._profile = ""
        self._building = False

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
        if not self._building:
            self._say(self._advice(message.supply))
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
            self._open(current)

    @on(VirtualList.Clicked, "#versions")
    def _clicked(self) -> None:
        self.action_open()

    @work(thread=True, exclusive=True, exit_on_error=False, group="open")
    def _open(self, dataset: Dataset) -> None:
        self.post_message(self.Read(version_text.read(dataset)))

    def on_dataset_screen_read(self, message: Read) -> None:
        """Show the version, unless the cursor is on another one by now."""
        current = self._current()
        if current is not None and current.label == message.opened.dataset.label:
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
        current = self._current()
        if current is None:
            raise BadInput("there is no version yet", fix="Build one with b.")
        from lora_tui.tui.screens.version.screen import VersionScreen

        self.app.push_screen(VersionScreen(current))

    def action_read(self) -> None:
        """Read the version's page, or go back to the list; on a wide window both are there."""
        if self.query_one("#version").has_focus:
            self.action_close()
        elif self._current() is not None:
            self.add_class("-open")
            self.query_one("#version").focus()

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
        if found is None or self._building:
            return
        if not found.accepted:
            raise BadInput(f"no accepted example of {' or '.join(found.languages) or 'any language'}", fix=_FIRST)
        confidence = found.profile.data.min_confidence if found.profile is not None else 0.0
        sure = f", the machine at least {confidence:.0%} sure of the language," if confidence else ""
        question = (
            f"{many(found.accepted, 'accepted example')} of {', '.join(found.languages)}{sure} become a version of:"
        )

        def named(name: str | None) -> None:
            if name:
                self._building = True
                self._say(f"building {name} …")
                self._build(name, found)

        self.app.push_screen(AskDialog("Build a dataset", question, found.name), named)

    def action_count(self) -> None:
        """Count what the version under the cursor holds."""
        current = self._current()
        if current is None:
            raise BadInput("there is no version to count", fix="Build one with b.")
        self.add_class("-open")
        reader = self.query_one("#version", Transcript)
        reader.show_lines(lambda width, folded: iter([[("counting …", "muted")]]))
        reader.focus()
        self._count_rows(current)

    @work(thread=True, exclusive=True, exit_on_error=False, group="open")
    def _count_rows(self, dataset: Dataset) -> None:
        from lora_tui.curation.suites import prompts, suite_files
        from lora_tui.dataset.statistics import statistics

        workspace, profile = self.shell.workspace, dataset.manifest.profile
        suite = load_profile(workspace, profile).verification.suite if profile in profile_paths(workspace) else ""
        path = suite_files(workspace).get(suite)
        asked = [(suite, prompt) for prompt in prompts(path)] if path is not None else []
        self.post_message(self.RowsCounted(dataset, statistics(dataset, asked)))

    def on_dataset_screen_rows_counted(self, message: RowsCounted) -> None:
        """Show it, unless the cursor is on another version by now."""
        current = self._current()
        if current is not None and current.label == message.dataset.label:
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

        asking.another_version(self.app, current, others, compare)

    def action_export(self) -> None:
        """Ask for a format and a folder, then write the version there."""
        current = self._current()
        if current is None:
            raise BadInput("there is no version to export", fix="Build one with b.")

        def export(format: str, folder: Path) -> None:
            self._say(f"exporting {current.label} as {format} …")
            self._export(current, format, folder)

        asking.format_and_folder(self.app, current, export)

    @work(thread=True, exit_on_error=False, group="export")
    def _export(self, dataset: Dataset, format: str, folder: Path) -> None:
        from lora_tui.dataset.exporting import export

        text = ""

        def tell(done: int, total: int) -> None:
            if done % _TELL_EVERY == 0:
                self.post_message(self.Exported(f"exporting {dataset.label}: {many(done, 'row')} written"))

        try:
            made = export(dataset, format, folder, progress=tell)
            rows = sum(item.rows for item in made.files)
            text = f"{dataset.label} as {format}: {many(rows, 'row')} in {folder}"
            text += f"; {many(len(made.left_out), 'row')} cannot be said so" if made.left_out else ""
        finally:
            self.post_message(self.Exported(text))

    def on_dataset_screen_exported(self, message: Exported) -> None:
        """Say how far it is, and where the files are."""
        if message.text:
            self._say(message.text)
        elif self._supply is not None:
            self._say(self._advice(self._supply))

    @work(thread=True, exit_on_error=False, group="build")
    def _build(self, name: str, found: Supply) -> None:
        profile, built = found.profile, None

        def tell(done: int, total: int) -> None:
            if done % _TELL_EVERY == 0:
                self.post_message(self.Building(name, done))

        try:
            built = versions.build(
                self.shell.workspace,
                name,
                profile.data if profile is not None else versions.EVERYTHING,
                profile=profile.name if profile is not None else "",
                progress=tell,
            )
        finally:
            self.post_message(self.Building(name, None, built))

    def on_dataset_screen_building(self, message: Building) -> None:
        """Say how far it is; show the new version."""
        if message.done is not None:
            self._say(f"building {message.name}: {many(message.done, 'example')} gone through")
            return
        self._building = False
        if message.built is not None:
            self.notify(f"{message.built.label} is built.", timeout=3, markup=False)
        self._count(message.built.label if message.built is not None else "")


_FIRST = "Accept some first: under Sessions, with a."
