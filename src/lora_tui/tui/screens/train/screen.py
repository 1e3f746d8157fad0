"""Train: a profile, a dataset, the plan they make, and one key to start it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer

from lora_tui.backends import fit
from lora_tui.backends.compare.way import Way
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.keymap import bindings
from lora_tui.tui.messages import RunChosen
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.dialogs.confirm import ConfirmDialog
from lora_tui.tui.screens.dialogs.page import PageDialog
from lora_tui.tui.screens.train import choices, engine, going_on, starting, where
from lora_tui.tui.screens.train.adapter_form import AdapterForm
from lora_tui.tui.screens.train.choices import Choices, DatasetRows, ProfileRows
from lora_tui.tui.screens.train.decided import Decided
from lora_tui.tui.screens.train.elsewhere import Ready
from lora_tui.tui.screens.train.plan_panel import Pair, PlanPanel
from lora_tui.tui.screens.train.sweep_form import SweepForm
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.virtual_list import VirtualList
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Profile
from lora_tui.workspace.profiles.loading import preset_description, preset_paths

_PAGE, _AROUND = 100, 12  # cells of a page of text, and of what is around it
_REST = 0.4  # seconds a choice stands before it is planned


class TrainScreen(Stage):
    """Owns what is chosen and what is started; the panel has the plan of it."""

    NAME = "train"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("train")

    class Read(Message):
        """Profiles and datasets were read."""

        def __init__(self, choices: Choices) -> None:
            super().__init__()
            self.choices = choices

    class CanGoOn(Message):
        """The adapters a profile can go on from were read."""

        def __init__(self, profile: Profile, choices: Sequence[tuple[str, str]]) -> None:
            super().__init__()
            self.profile = profile
            self.choices = choices

    class Preparing(Message):
        """How far the preparation of a run elsewhere is."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    class Prepared(Message):
        """A run elsewhere is ready to be started, or could not be prepared (None)."""

        def __init__(self, way: Way, made: Ready | None) -> None:
            super().__init__()
            self.way = way
            self.made = made

    class Started(Message):
        """A run works, or could not be started (None)."""

        def __init__(self, run: Run | None) -> None:
            super().__init__()
            self.run = run

    def __init__(self) -> None:
        super().__init__()
        self._choices: Choices | None = None
        self._decided = Decided()
        self._resting: Timer | None = None
        self._new = ""  # a profile that was just written: the cursor goes there
        self._starting = False

    def body(self) -> ComposeResult:
        """Two lists, the plan."""
        with Vertical(id="choices"):
            yield VirtualList(id="profiles")
            yield VirtualList(id="datasets")
        yield PlanPanel(self._decided, id="panel")

    def on_mount(self) -> None:
        """Name the lists."""
        self.query_one("#profiles").border_title = "profile"
        self.query_one("#datasets").border_title = "dataset"
        self._profiles.focus()

    @property
    def _profiles(self) -> VirtualList:
        return self.query_one("#profiles", VirtualList)

    @property
    def _datasets(self) -> VirtualList:
        return self.query_one("#datasets", VirtualList)

    @property
    def _panel(self) -> PlanPanel:
        return self.query_one(PlanPanel)

    def on_screen_resume(self) -> None:
        """Shown, for the first time or again."""
        self.call_after_refresh(self._read)

    # ---- choosing

    @work(thread=True, exclusive=True, exit_on_error=False, group="read")
    def _read(self) -> None:
        self.post_message(self.Read(choices.read(self.shell.workspace, self._decided.presets)))

    def on_train_screen_read(self, message: Read) -> None:
        """Fill the lists; what was chosen stays chosen, else the newest dataset and the profile it was built for."""
        found = message.choices
        if found == self._choices:
            self._settle()
            return
        pair = self._pair()
        self._choices = found
        labels = [item.label for item in found.datasets]
        names = [name for name, _, _ in found.profiles]
        dataset = labels.index(pair[1].label) if pair is not None and pair[1].label in labels else 0
        built_for = found.datasets[dataset].manifest.profile if labels else ""
        wanted = self._new or (pair[0].name if pair is not None else built_for)
        self._new = ""
        self._datasets.show(DatasetRows(found, self.shell.clock()), dataset)
        self._profiles.show(ProfileRows(found), names.index(wanted) if wanted in names else 0)
        self._settle()

    def _pair(self) -> Pair | None:
        if self._choices is None or not self._choices.datasets or not self._choices.profiles:
            return None
        _, profile, _ = self._choices.profiles[self._profiles.cursor]
        if profile is None:
            return None
        return self._decided.over(profile), self._choices.datasets[self._datasets.cursor]

    def _something(self) -> Pair:
        """What is chosen. Raises BadInput where that is nothing."""
        pair = self._pair()
        if pair is None:
            raise BadInput("there is nothing to train yet", fix="Choose a profile and a dataset.")
        return pair

    @on(VirtualList.Moved)
    def _moved(self) -> None:
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_REST, self._settle)

    def _settle(self) -> None:
        """Have planned what is chosen now, unless that is impossible."""
        pair = self._pair()
        if self._choices is None:
            return
        if (gone := engine.missing()) is not None:
            self._panel.refuse(pair, gone)
        elif not self._choices.datasets:
            self._panel.refuse(None, BadInput("there is no dataset yet", fix="Build one under Dataset, F3."))
        elif pair is None:
            _, _, problem = self._choices.profiles[self._profiles.cursor]
            self._panel.refuse(None, BadInput("this profile cannot be used", where=problem))
        else:
            self._panel.want(pair)

    # ---- what keys do

    def action_other_list(self) -> None:
        """From one list to the other."""
        (self._datasets if self._profiles.has_focus else self._profiles).focus()

    def action_scroll_plan(self, lines: int) -> None:
        """Scroll the plan by half of its window while the lists keep the keys."""
        panel = self._panel
        panel.scroll_relative(y=lines * max(1, panel.size.height // 2), animate=False)

    def action_refresh(self) -> None:
        """Read the lists again; plan again."""
        self._panel.forget()
        self._choices = None
        self._decided.fitted.clear()
        self._read()

    def action_preset(self) -> None:
        """Choose what is laid over the profile for this run."""
        paths = preset_paths(self.shell.workspace)
        offered = [("", "none: the profile as it is")]
        offered += [(name, f"{name}: {preset_description(path)}") for name, path in paths.items()]

        def chosen(name: str) -> None:
            self._decided.presets = (name,) if name else ()
            self.query_one("#profiles").border_title = f"profile, {name}" if name else "profile"
            self._read()

        now = self._decided.presets
        self.ask(ChooseDialog("Preset", offered, now[0] if now else ""), chosen)

    def action_new_adapter(self) -> None:
        """Write a profile of one's own, from the one under the cursor."""
        parent = ""
        if self._choices is not None and self._choices.profiles:
            parent, _, _ = self._choices.profiles[self._profiles.cursor]

        def written(name: str) -> None:
            self._new = name
            self.tell(f"{name} lies in {self.shell.workspace.profiles}.")
            self._read()

        self.ask(AdapterForm(self.shell.workspace, parent), written)

    def action_sweep(self) -> None:
        """Try several settings of what is chosen; watch them."""
        if (gone := engine.missing()) is not None:
            raise gone

        def started(run: str) -> None:
            self.call_later(self._watch, run)

        self.ask(SweepForm(self.shell.workspace, *self._something()), started)

    def action_probe(self) -> None:
        """Plan again with one real step."""
        self._panel.take_step(self._something())

    @work(thread=True, exit_on_error=False, group="onwards")
    def action_go_on(self) -> None:
        """Look which adapters this profile can go on from."""
        profile, _ = self._something()
        found = going_on.choices(self.shell.workspace, profile)
        if len(found) == 1:
            fix = "One does that has its base, rank, alpha and modules."
            raise BadInput(f"no adapter fits {profile.name} yet", fix=fix)
        self.post_message(self.CanGoOn(profile, found))

    def on_train_screen_can_go_on(self, message: CanGoOn) -> None:
        """Let one be chosen; it holds for this profile until another is."""
        name = message.profile.name

        def take(value: str) -> None:
            self._decided.go_on(name, going_on.chosen(value))
            self._settle()

        now = self._decided.onwards.get(name)
        self.ask(ChooseDialog("Begin with", message.choices, now.value if now else going_on.FRESH), take)

    def action_where(self) -> None:
        """Choose where it is trained; it holds for this profile until another is."""
        pair = self._something()
        found, name = self._panel.compared(pair), pair[0].name

        def take(value: str) -> None:
            self._decided.where[name] = value
            self._settle()

        offered, now = where.options(found), self._decided.way(name)
        self.ask(ChooseDialog(f"Where to train {name}", offered, now, above=where.HEAD), take)

    def action_ways(self) -> None:
        """Every way in full, with live prices."""
        width = min(_PAGE, self.size.width - _AROUND)
        write = partial(where.page, self.shell.workspace, *self._something(), self._decided.presets, width)
        self.app.push_screen(PageDialog("Where to train", write))

    def action_make_fit(self) -> None:
        """Lay over the profile what makes it fit, and plan that."""
        pair = self._something()
        made, name = self._panel.planned(pair), pair[0].name
        if made.fits:
            raise BadInput("it fits as it is")
        if not made.fit or not made.fit[-1].fits:
            raise BadInput("nothing here makes it fit", fix="Choose a smaller base, or a larger machine.")
        before = self._decided.fitted.get(name, ())
        self._decided.fitted[name] = (*before, *fit.settings_of(made.fit))
        self._settle()

    # ---- starting

    def action_start(self) -> None:
        """Start what the plan shows: at once, or after a person has named every error to go on in spite of."""
        if self._starting:
            return
        if (gone := engine.missing()) is not None:
            raise gone
        pair = self._something()
        way = self._way(pair)
        if way is not None and way.backend != where.HERE and self._panel.is_refused(pair):
            self._start(pair, way, ())  # preparing it says what is needed there
            return
        audited = self._panel.planned(pair).audited
        if not audited.errors:
            self._start(pair, way, ())
            return

        def named(text: str) -> None:
            self._start(pair, way, starting.allowed(pair[1], audited, text))

        self.ask(AskDialog("The audit found errors", starting.question(audited.errors)), named)

    def _way(self, pair: Pair) -> Way | None:
        """Where it is to be trained; None: here, as its profile says. Raises BadInput where that is not known."""
        chosen = self._decided.way(pair[0].name)
        if chosen == where.HERE:
            return None
        for way in self._panel.compared(pair).ways:
            if way.name == chosen:
                return way
        raise BadInput(f"{chosen} is no longer there to train at", fix="Choose where with b.")

    def _start(self, pair: Pair, way: Way | None, allow: tuple[str, ...]) -> None:
        self._starting = True
        if way is None or way.backend == where.HERE:
            self._start_here(pair, way, allow)
        else:
            self._panel.say(f"preparing it for {way.name} …")
            self._prepare(pair, way, allow)

    @work(thread=True, exit_on_error=False, group="start")
    def _start_here(self, pair: Pair, way: Way | None, allow: tuple[str, ...]) -> None:
        run: Run | None = None
        try:
            onwards = self._decided.onwards.get(pair[0].name)
            run = starting.here(self.shell.workspace, *pair, way, onwards, allow)
        finally:
            self.post_message(self.Started(run))

    @work(thread=True, exit_on_error=False, group="start")
    def _prepare(self, pair: Pair, way: Way, allow: tuple[str, ...]) -> None:
        def tell(stage: str, done: int, total: int) -> None:
            self.post_message(self.Preparing(f"{stage}: {done:,} of {total:,}" if total else stage))

        made: Ready | None = None
        try:
            onwards, presets = self._decided.onwards.get(pair[0].name), self._decided.presets
            made = starting.ready(self.shell.workspace, *pair, way, onwards, allow, presets, tell)
        finally:
            self.post_message(self.Prepared(way, made))

    def on_train_screen_preparing(self, message: Preparing) -> None:
        """Say how far it is."""
        if self._starting:
            self._panel.say(f"{message.line} …")

    def on_train_screen_prepared(self, message: Prepared) -> None:
        """Ask whether it may cost that; what costs nothing starts at once."""
        self._starting = False
        self._settle()
        made = message.made
        if made is None:
            return

        def agreed(yes: bool) -> None:
            self._starting = True
            self._begin(made)

        if made.question:
            self.ask(ConfirmDialog(f"Train at {message.way.name}?", made.question, "start"), agreed)
        else:
            agreed(True)

    @work(thread=True, exit_on_error=False, group="start")
    def _begin(self, made: Ready) -> None:
        run: Run | None = None
        try:
            run = made.begin()
        finally:
            self.post_message(self.Started(run))

    async def on_train_screen_started(self, message: Started) -> None:
        """Watch it."""
        self._starting = False
        if message.run is not None:
            await self._watch(message.run.id)

    async def _watch(self, run: str) -> None:
        await self.app.switch_mode("monitor")
        self.app.screen.post_message(RunChosen(run))
