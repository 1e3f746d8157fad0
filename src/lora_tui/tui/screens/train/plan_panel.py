"""The plan of what is chosen, and the ways to train it: made one at a time, off the event loop."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, cast

from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.worker import Worker

from lora_tui.backends.compare.way import Comparison
from lora_tui.backends.counting import Cancelled
from lora_tui.backends.plan import Plan, plan
from lora_tui.dataset.model import Dataset
from lora_tui.tui.screens.train import where
from lora_tui.tui.screens.train.decided import Decided
from lora_tui.tui.screens.train.plan_text import plan_lines, problem_lines
from lora_tui.tui.widgets.live_lines import Draw, Line, LiveLines
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.profiles import Profile

if TYPE_CHECKING:
    from lora_tui.tui.app import LoraTuiApp

Pair = tuple[Profile, Dataset]
_ROOMY = 40  # lines of the screen, above which reasons are shown too


class PlanPanel(VerticalScroll):
    """Plans what is wanted; another wish stops the plan being made and is planned instead."""

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

    class Compared(Message):
        """The ways to train what is planned, or why they cannot be compared."""

        def __init__(self, pair: Pair, found: Comparison | LoraTuiError) -> None:
            super().__init__()
            self.pair = pair
            self.found = found

    def __init__(self, decided: Decided, *, id: str) -> None:
        super().__init__(id=id, can_focus=False)
        self._decided = decided
        self._wanted: Pair | None = None
        self._planning: Pair | None = None
        self._unwanted = threading.Event()  # the plan being made
        self._plan: tuple[Pair, Plan] | None = None
        self._probe_wanted = False  # the next plan takes a real step
        self._refused: tuple[Pair, LoraTuiError] | None = None  # what could not be planned here
        self._ways: tuple[Pair, Comparison | LoraTuiError] | None = None  # where what is planned could be trained

    @property
    def shell(self) -> LoraTuiApp:
        """The app, with its workspace."""
        return cast("LoraTuiApp", self.app)

    def compose(self) -> ComposeResult:
        """Lines."""
        yield LiveLines(id="plan")

    def on_unmount(self) -> None:
        """End what works for it."""
        self._unwanted.set()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """The app shows why a worker failed."""
        self.shell.on_worker_state_changed(event)

    # ---- what the screen asks

    def want(self, pair: Pair) -> None:
        """Plan it, unless that is done or being done."""
        self._wanted = pair
        named = f"{pair[0].name} on {pair[1].label}"
        if self._plan is not None and self._plan[0] == pair:
            self._show(partial(self._lines, self._plan[1]))
        elif self._planning is None:
            self._planning = pair
            self._unwanted = threading.Event()
            self.say(f"planning {named} …")
            self._make(pair, self._unwanted, self._probe_wanted)
            self._probe_wanted = False
        elif self._planning != pair:
            self._unwanted.set()
            self.say(f"{named} is planned next …")

    def take_step(self, pair: Pair) -> None:
        """Plan it again with one real step; a step that is being taken goes on."""
        self.planned(pair)
        self._plan = None
        self._probe_wanted = True
        self.want(pair)

    def refuse(self, pair: Pair | None, error: LoraTuiError) -> None:
        """Say why it cannot be planned here, and where it could be trained all the same."""
        self._wanted = pair
        if pair is not None and (self._refused is None or self._refused[0] != pair):
            self._compare(pair, self._decided.presets)
        self._refused = (pair, error) if pair is not None else None
        self._show(partial(self._why_not, error))

    def forget(self) -> None:
        """What was found out before counts no more."""
        self._plan = self._refused = self._ways = None

    def say(self, text: str) -> None:
        """A line in the plan's place."""
        self._show(lambda width: [[(text, "accent")]])

    def planned(self, pair: Pair | None) -> Plan:
        """The plan of `pair`. Raises BadInput when there is none yet, and why there will be none."""
        if pair is not None and self._plan is not None and self._plan[0] == pair:
            return self._plan[1]
        if pair is not None and self._refused is not None and self._refused[0] == pair:
            raise self._refused[1]
        raise BadInput("the plan is not there yet", fix="Wait until it is shown; then press the key again.")

    def is_refused(self, pair: Pair) -> bool:
        """Whether `pair` cannot be planned here."""
        return self._refused is not None and self._refused[0] == pair

    def compared(self, pair: Pair) -> Comparison:
        """The ways to train `pair`, which is planned or cannot be. Raises BadInput when they are not known yet."""
        if not self.is_refused(pair):
            self.planned(pair)
        if self._ways is None or self._ways[0] != pair:
            raise BadInput("the ways are not compared yet", fix="Wait until they are shown; then press the key again.")
        if isinstance(self._ways[1], LoraTuiError):
            raise self._ways[1]
        return self._ways[1]

    # ---- planning and comparing

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

    def on_plan_panel_counting(self, message: Counting) -> None:
        """The counting takes some seconds: say what is going on."""
        message.stop()
        if self._planning is not None and self._planning == self._wanted:
            self.say(f"{message.line} …")

    def on_plan_panel_planned(self, message: Planned) -> None:
        """Show the plan, or why there is none; then plan what was chosen meanwhile."""
        message.stop()
        self._planning = None
        if message.plan is not None:
            self._plan = (message.pair, message.plan)
            self._compare(message.pair, self._decided.presets)
        if self._wanted is None:
            return
        if message.pair == self._wanted and message.error is not None:
            self.refuse(message.pair, message.error)
        else:
            self.want(self._wanted)

    @work(thread=True, exclusive=True, exit_on_error=False, group="compare")
    def _compare(self, pair: Pair, presets: tuple[str, ...]) -> None:
        found: Comparison | LoraTuiError
        try:
            found = where.ways(self.shell.workspace, *pair, presets)
        except LoraTuiError as error:
            found = error
        self.post_message(self.Compared(pair, found))

    def on_plan_panel_compared(self, message: Compared) -> None:
        """Show the ways beside the plan they are of."""
        message.stop()
        planned = self._plan is not None and self._plan[0] == message.pair
        refused = self._refused is not None and self._refused[0] == message.pair
        if not (planned or refused):  # a slow answer about what is no longer planned
            return
        self._ways = (message.pair, message.found)
        if message.pair != self._wanted:
            return
        if planned:
            self.want(message.pair)
        elif self._refused is not None:
            self._show(partial(self._why_not, self._refused[1]))

    # ---- drawing

    def _show(self, draw: Draw) -> None:
        self.query_one("#plan", LiveLines).show(draw)

    def _why_not(self, error: LoraTuiError, width: int) -> list[Line]:
        lines = list(problem_lines(error, width))
        if self._refused is None or self._ways is None or self._ways[0] != self._refused[0]:
            return lines
        return [*lines, [], *where.lines(self._ways[1], self._decided.way(self._refused[0][0].name), width)]

    def _lines(self, made: Plan, width: int) -> list[Line]:
        decided, name = self._decided, made.profile
        found = self._ways[1] if self._ways is not None and self._plan and self._ways[0] == self._plan[0] else None
        ways = where.lines(found, decided.way(name), width)
        roomy = self.screen.size.height > _ROOMY
        lines = list(plan_lines(made, roomy, width, decided.fitted.get(name, ()), ways))
        onwards = decided.onwards.get(name)
        if onwards is None:
            return lines
        said: list[Line] = [[(" " * 12, ""), (onwards.words, "good")]]
        if onwards.new_only:
            said.append([(" " * 12, ""), ("what is counted here is all rows, the known ones too", "warn")])
        return [*lines[:1], *said, *lines[1:]]
