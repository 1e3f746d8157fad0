"""Train: a profile, a dataset, the plan they make, and one key to start it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.timer import Timer

from lora_tui.backends import audits, fit, local
from lora_tui.backends.counting import Cancelled
from lora_tui.backends.plan import Plan, plan
from lora_tui.dataset.model import Dataset
from lora_tui.jobs.audit import ERRORS
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.keymap import bindings
from lora_tui.tui.messages import RunChosen
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.train import choices, engine, going_on
from lora_tui.tui.screens.train.adapter_form import AdapterForm
from lora_tui.tui.screens.train.choices import Choices, DatasetRows, ProfileRows
from lora_tui.tui.screens.train.going_on import Onwards
from lora_tui.tui.screens.train.plan_text import plan_lines, problem_lines
from lora_tui.tui.screens.train.sweep_form import SweepForm
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.live_lines import Draw, Line, LiveLines
from lora_tui.tui.widgets.virtual_list import VirtualList
from lora_tui.verify.suite import sample_prompts
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.profiles import Profile
from lora_tui.workspace.profiles.loading import preset_description, preset_paths
from lora_tui.workspace.profiles.settings import with_settings

_REST = 0.4  # seconds a choice stands before it is planned
_ALL = "Press s again and type every name that stands before a colon, or repair the dataset: F3, enter, f."

Pair = tuple[Profile, Dataset]


class TrainScreen(Stage):
    """Owns the choice and its plan. One plan is made at a time; another choice stops it and is planned instead."""

    NAME = "train"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("train")

    class Read(Message):
        """Profiles and datasets were read."""

        def __init__(self, choices: Choices) -> None:
            super().__init__()
            self.choices = choices

    class Counting(Message):
        """The plan has to count tokens first."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    class Planned(Message):
        """A plan was made, or could not be; neither: nobody wanted it any more."""

        def __init__(self, pair: Pair, plan: Plan | None, error: LoraTuiError | None) -> None:
            super().__init__()
            self.pair = pair
            self.plan = plan
            self.error = error

    class CanGoOn(Message):
        """The adapters a profile can go on from were read."""

        def __init__(self, profile: Profile, choices: Sequence[tuple[str, str]]) -> None:
            super().__init__()
            self.profile = profile
            self.choices = choices

    class Started(Message):
        """A run works, or could not be started (None)."""

        def __init__(self, run: Run | None) -> None:
            super().__init__()
            self.run = run

    def __init__(self) -> None:
        super().__init__()
        self._choices: Choices | None = None
        self._resting: Timer | None = None
        self._planning: Pair | None = None
        self._unwanted = threading.Event()  # the plan being made
        self._plan: tuple[Pair, Plan] | None = None
        self._fitted: dict[str, tuple[str, ...]] = {}  # profile -> settings that make it fit, as asked for
        self._presets: tuple[str, ...] = ()  # laid over every profile
        self._new = ""  # a profile that was just written: the cursor goes there
        self._probe_wanted = False  # the next plan takes a real step
        self._starting = False
        self._onwards: dict[str, Onwards] = {}  # by profile: the adapter its run is to go on from

    def body(self) -> ComposeResult:
        """Two lists, the plan."""
        with Vertical(id="choices"):
            yield VirtualList(id="profiles")
            yield VirtualList(id="datasets")
        with VerticalScroll(id="panel", can_focus=False):
            yield LiveLines(id="plan")

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

    def on_screen_resume(self) -> None:
        """Shown, for the first time or again."""
        self.call_after_refresh(self._read)

    # ---- choosing

    @work(thread=True, exclusive=True, exit_on_error=False, group="read")
    def _read(self) -> None:
        self.post_message(self.Read(choices.read(self.shell.workspace, self._presets)))

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
        name, profile, _ = self._choices.profiles[self._profiles.cursor]
        if profile is None:
            return None
        profile = with_settings(profile, self._fitted.get(name, ()))
        return profile, self._choices.datasets[self._datasets.cursor]

    @on(VirtualList.Moved)
    def _moved(self) -> None:
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_REST, self._settle)

    # ---- planning

    def _settle(self) -> None:
        """Plan what is chosen now, unless that is done, being done, or impossible."""
        pair = self._pair()
        if self._choices is None:
            return
        if (gone := engine.missing()) is not None:
            self._show(partial(problem_lines, gone))
        elif not self._choices.datasets:
            self._show(partial(problem_lines, BadInput("there is no dataset yet", fix="Build one under Dataset, F3.")))
        elif pair is None:
            _, _, problem = self._choices.profiles[self._profiles.cursor]
            self._show(partial(problem_lines, BadInput("this profile cannot be used", where=problem)))
        elif self._plan is not None and self._plan[0] == pair:
            self._show(partial(self._lines, self._plan[1]))
        elif self._planning is None:
            self._planning = pair
            self._unwanted = threading.Event()
            self._say(f"planning {pair[0].name} on {pair[1].label} …")
            self._make(pair, self._unwanted, self._probe_wanted)
            self._probe_wanted = False
        elif self._planning != pair:
            self._unwanted.set()
            self._say(f"{pair[0].name} on {pair[1].label} is planned next …")

    @work(thread=True, exit_on_error=False, group="plan")
    def _make(self, pair: Pair, unwanted: threading.Event, take_step: bool) -> None:
        made: Plan | None = None
        problem: LoraTuiError | None = LoraTuiError("the plan could not be made")

        def tell(line: str) -> None:
            self.post_message(self.Counting(line))

        try:
            made = plan(self.shell.workspace, *pair, progress=tell, cancelled=unwanted.is_set, take_step=take_step)
            problem = None
        except Cancelled:
            problem = None
        except LoraTuiError as error:
            problem = error
        finally:
            self.post_message(self.Planned(pair, made, problem))

    def on_train_screen_counting(self, message: Counting) -> None:
        """The counting takes some seconds: say what is going on."""
        if self._planning is not None and self._planning == self._pair():
            self._say(f"{message.line} …")

    def on_train_screen_planned(self, message: Planned) -> None:
        """Show the plan, or why there is none; then plan what was chosen meanwhile."""
        self._planning = None
        if message.plan is not None:
            self._plan = (message.pair, message.plan)
        if message.pair == self._pair() and message.error is not None:
            self._show(partial(problem_lines, message.error))
        else:
            self._settle()

    def _lines(self, made: Plan, width: int) -> list[Line]:
        lines = list(plan_lines(made, self.size.height > 40, width, self._fitted.get(made.profile, ())))
        onwards = self._onwards.get(made.profile)
        if onwards is None:
            return lines
        said: list[Line] = [[(" " * 12, ""), (onwards.words, "good")]]
        if onwards.new_only:
            said.append([(" " * 12, ""), ("what is counted here is all rows, the known ones too", "warn")])
        return [*lines[:1], *said, *lines[1:]]

    def _show(self, draw: Draw) -> None:
        self.query_one("#plan", LiveLines).show(draw)

    def _say(self, text: str) -> None:
        self.query_one("#plan", LiveLines).show(lambda width: [[(text, "accent")]])

    def on_unmount(self) -> None:
        """End what works for this screen."""
        self._unwanted.set()

    # ---- what keys do

    def action_other_list(self) -> None:
        """From one list to the other."""
        (self._datasets if self._profiles.has_focus else self._profiles).focus()

    def action_scroll_plan(self, lines: int) -> None:
        """Scroll the plan by half of its window while the lists keep the keys."""
        panel = self.query_one("#panel", VerticalScroll)
        panel.scroll_relative(y=lines * max(1, panel.size.height // 2), animate=False)

    def action_refresh(self) -> None:
        """Read the lists again; plan again."""
        self._plan = None
        self._choices = None
        self._fitted.clear()
        self._read()

    def action_preset(self) -> None:
        """Choose what is laid over the profile for this run."""
        paths = preset_paths(self.shell.workspace)
        offered = [("", "none: the profile as it is")]
        offered += [(name, f"{name}: {preset_description(path)}") for name, path in paths.items()]

        def chosen(name: str) -> None:
            self._presets = (name,) if name else ()
            self.query_one("#profiles").border_title = f"profile, {name}" if name else "profile"
            self._read()

        self.ask(ChooseDialog("Preset", offered, self._presets[0] if self._presets else ""), chosen)

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
        pair = self._pair()
        if pair is None:
            raise BadInput("there is nothing to train yet", fix="Choose a profile and a dataset.")

        def started(run: str) -> None:
            self.call_later(self._watch, run)

        self.ask(SweepForm(self.shell.workspace, *pair), started)

    def action_probe(self) -> None:
        """Plan again with one real step; a step that is being taken goes on."""
        self._planned()
        self._plan = None
        self._probe_wanted = True
        self._settle()

    @work(thread=True, exit_on_error=False, group="onwards")
    def action_go_on(self) -> None:
        """Look which adapters this profile can go on from."""
        pair = self._pair()
        if pair is None:
            raise BadInput("there is nothing to train yet", fix="Choose a profile and a dataset.")
        name, found = pair[0].name, going_on.choices(self.shell.workspace, pair[0])
        if len(found) == 1:
            raise BadInput(f"no adapter fits {name} yet", fix="One does that has its base, rank, alpha and modules.")
        self.post_message(self.CanGoOn(pair[0], found))

    def on_train_screen_can_go_on(self, message: CanGoOn) -> None:
        """Let one be chosen; it holds for this profile until another is."""
        name = message.profile.name

        def take(value: str) -> None:
            onwards = going_on.chosen(value)
            self._onwards = {key: item for key, item in self._onwards.items() if key != name}
            if onwards is not None:
                self._onwards[name] = onwards
            self._settle()

        now = self._onwards.get(name)
        self.ask(ChooseDialog("Begin with", message.choices, now.value if now else going_on.FRESH), take)

    def action_make_fit(self) -> None:
        """Lay over the profile what makes it fit, and plan that."""
        pair, made = self._planned()
        if made.fits:
            raise BadInput("it fits as it is")
        if not made.fit or not made.fit[-1].fits:
            raise BadInput("nothing here makes it fit", fix="Choose a smaller base, or a larger machine.")
        before = self._fitted.get(pair[0].name, ())
        self._fitted[pair[0].name] = (*before, *fit.settings_of(made.fit))
        self._settle()

    def _planned(self) -> tuple[Pair, Plan]:
        """What is chosen, with its plan. Raises BadInput when there is none yet."""
        pair = self._pair()
        if pair is None or self._plan is None or self._plan[0] != pair:
            raise BadInput("the plan is not there yet", fix="Wait until it is shown; then press the key again.")
        return self._plan

    def action_start(self) -> None:
        """Start what the plan shows."""
        pair = self._pair()
        if self._starting:
            return
        if (gone := engine.missing()) is not None:
            raise gone
        if pair is None:
            raise BadInput("there is nothing to train yet", fix="Choose a profile and a dataset.")
        if self._plan is None or self._plan[0] != pair:
            raise BadInput("the plan is not there yet", fix="See what the run would do first; then press s.")
        self._allowed(pair, self._plan[1])

    def _allowed(self, pair: Pair, made: Plan) -> None:
        """Start at once, or after a person has named every error that the run is to go on in spite of."""
        errors = made.audited.errors
        if not errors:
            self._starting = True
            self._start(pair, ())
            return

        def named(text: str) -> None:
            allow = tuple(text.replace(",", " ").split())
            left = [item.code for item in errors if item.code not in allow]
            if left and set(allow) <= set(ERRORS):
                raise BadInput(f"not named: {', '.join(left)}", where=pair[1].label, fix=_ALL)
            audits.check_allowed(pair[1], made.audited, allow)
            self._starting = True
            self._start(pair, allow)

        found = "\n".join(f"{item.code}: {item.message}" for item in errors)
        each = "each name" if len(errors) > 1 else "the name"
        question = f"{found}\n\nTo train in spite of it, type {each} that stands before a colon."
        self.ask(AskDialog("The audit found errors", question), named)

    @work(thread=True, exit_on_error=False, group="start")
    def _start(self, pair: Pair, allow: tuple[str, ...]) -> None:
        run: Run | None = None
        try:
            profile, dataset = pair
            prompts = sample_prompts(self.shell.workspace, profile)
            start = going_on.start(self.shell.workspace, self._onwards.get(profile.name), dataset)
            run = local.train(self.shell.workspace, profile, dataset, prompts, start=start, allow=allow)
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
